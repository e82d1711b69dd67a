import { argon2id } from '@noble/hashes/argon2.js'
import { corrupt, refused, unsupported } from './fault.js'
import * as json from './json.js'
import { derive, keyID, publicOf, unseal } from './sums.js'

// Slots, key files and recovery sheets: docs/format.md, "Records that are sealed".

const context = 'ivdmover 2026 format 1: key of a slot'

// A secret opens slots of one kind: its bytes are given the slot's salt and
// the parameters of Argon2id.
export const passphrase = (text) => ({
  kind: 'passphrase',
  bytes: (salt, { time, memory, threads }) =>
    Buffer.from(argon2id(text, salt, { t: time, m: memory, p: threads, version: 0x13, dkLen: 32, maxmem: 2 ** 31 })),
})
const fixed = (secret) => ({ kind: 'key_file', bytes: () => secret })

// keyFile reads a key file, and refuses one of another repository.
export function keyFile(bytes, config) {
  const file = json.parse(bytes)
  if (json.number(file, 'ivd_key_file') !== 1) throw unsupported('the key file is of another version')
  const root = keyID(json.base64(file, 'root', 32))
  for (const [key, is, want] of [
    ['repository', json.string(file, 'repository'), config.id],
    ['domain', json.string(file, 'domain'), config.domain],
    ['cipher', json.string(file, 'cipher'), config.cipher],
    ['hash', json.string(file, 'hash'), config.hash],
    ['root', root, config.root],
  ]) {
    if (is !== want) throw refused(`the key file is of another repository: its ${key} is ${JSON.stringify(is)}, not ${want}`)
  }
  return fixed(json.base64(file, 'secret', 32))
}

const crockford = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

// recoverySheet reads the four lines of a recovery sheet, also where they are typed on one.
export function recoverySheet(text) {
  const letters = text.toUpperCase().replace(/[\s-]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1')
  if (letters.length !== 64) throw refused('a recovery sheet has four lines of sixteen letters')
  const lines = [0, 1, 2, 3].map((i) => letters.slice(16 * i, 16 * i + 16))
  return fixed(Buffer.concat(lines.map((line, i) => recoveryLine(line, i + 1))))
}

// recoveryLine decodes ten bytes: eight of the secret and a check value.
function recoveryLine(line, number) {
  if ([...line].some((c) => !crockford.includes(c))) throw refused(`line ${number} of the recovery sheet has a letter that is none of its alphabet`)
  const bits = [...line].reduce((n, c) => (n << 5n) | BigInt(crockford.indexOf(c)), 0n)
  const bytes = Buffer.from(bits.toString(16).padStart(20, '0'), 'hex')
  const secret = bytes.subarray(0, 8)
  if (crc16([number, ...secret]) !== bytes.readUInt16BE(8)) throw refused(`line ${number} of the recovery sheet has a mistake`)
  return secret
}

// crc16 is CRC-16/CCITT-FALSE.
function crc16(bytes) {
  let crc = 0xffff
  for (const byte of bytes) {
    crc ^= byte << 8
    for (let i = 0; i < 8; i++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff
  }
  return crc
}

// openSlot returns the master key and the root key of a slot, or nothing where
// the secret is not the slot's.
export function openSlot(slot, secret, beside) {
  const kind = json.string(slot, 'kind')
  if (kind !== 'passphrase' && kind !== 'key_file') throw unsupported(`its kind ${JSON.stringify(kind)} is not known`)
  if (kind !== secret.kind) return undefined
  const argon2 = checkArgon2(json.object(slot, 'argon2'), kind)
  const salt = json.base64(slot, 'salt', 32)
  const check = json.base64(slot, 'check', 16)
  const sealed = json.base64(slot, 'sealed', 80)
  const derived = derive(context, [salt, secret.bytes(salt, argon2)], 60)
  if (!derived.subarray(0, 16).equals(check)) return undefined
  const aad = Buffer.concat([Buffer.from(context), ...[...beside, kind].map(counted), costs(argon2), salt])
  const plain = unseal(derived.subarray(16, 48), derived.subarray(48), sealed, aad)
  const rootPublic = publicOf(plain.subarray(32))
  return { master: plain.subarray(0, 32), root: { id: keyID(rootPublic), public: rootPublic } }
}

// checkArgon2 refuses parameters that would take too much memory or time, or
// protect too little, before anything is computed.
function checkArgon2(object, kind) {
  const argon2 = { time: json.number(object, 'time'), memory: json.number(object, 'memory'), threads: json.number(object, 'threads') }
  const { time, memory, threads } = argon2
  if (kind === 'key_file') {
    if (time !== 0 || memory !== 0 || threads !== 0) throw corrupt('a slot of a key file has parameters of Argon2id')
  } else if (time < 1 || time > 16 || threads < 1 || threads > 16 || memory < 8 << 10 || memory > 1 << 20) {
    throw unsupported(`its parameters of Argon2id are out of bounds: ${time} passes, ${memory} KiB, ${threads} threads`)
  }
  return argon2
}

function counted(text) {
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(2)
  length.writeUInt16LE(bytes.length)
  return Buffer.concat([length, bytes])
}

function costs({ time, memory, threads }) {
  const bytes = Buffer.alloc(9)
  bytes.writeUInt32LE(time)
  bytes.writeUInt32LE(memory, 4)
  bytes[8] = threads
  return bytes
}
