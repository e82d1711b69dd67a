import { corrupt, unsupported } from './fault.js'
import { checkZero, Fields } from './fields.js'
import * as json from './json.js'
import { checkSignature, derive, sum, unseal } from './sums.js'

// Records: docs/format.md, "Records" and "Records that are sealed".

export const maxRecord = 64 << 20

const kinds = (
  'IVDPOINT IVDLEASE IVDWRITR IVDFORGT IVDPIN IVDHOLD IVDRETIR IVDUNRET IVDVERIF IVDQUARN IVDCONDM IVDWAITS ' +
  'IVDDONE IVDHOOKS IVDRING IVDKEYSL IVDSUMMA IVDRSEND IVDDRILL IVDSTORE IVDERASD IVDPACKS IVDRSIGN'
).split(' ')

// parse takes a record apart and checks all that needs no key.
export function parse(bytes, kind, encrypted) {
  if (bytes.length > maxRecord) throw unsupported(`it has ${bytes.length} bytes, more than the ${maxRecord} that a record may have`)
  const f = new Fields(bytes, 'record')
  const found = f.take(8).toString('latin1').replace(/\0+$/, '')
  if (found !== kind) {
    throw kinds.includes(found) ? corrupt(`it is of kind ${found}, not ${kind}`) : unsupported('its kind is not known')
  }
  f.known(2, 'version', 1)
  const cipher = f.known(1, 'cipher', 0, 1)
  const algorithm = f.known(1, 'signature algorithm', 0, 1)
  const signatureLength = f.u32()
  const key = f.take(16)
  const nonce = f.take(32)
  const bodyLength = f.u64()
  f.zero(8)
  const bodySum = f.take(32)
  if (algorithm === 0 && signatureLength !== 0) throw unsupported('it has a signature without an algorithm')
  if (algorithm === 1 && signatureLength !== 80) throw corrupt('the length of its signature is wrong')
  if (cipher === 0) checkZero(Buffer.concat([key, nonce]), 'key and nonce')
  if ((algorithm === 1) !== encrypted) throw corrupt(`it is ${encrypted ? 'not signed' : 'signed'}, unlike the repository`)
  if (cipher === 1 && !encrypted) throw corrupt('it is sealed, in a plain repository')
  if (f.left !== bodyLength + signatureLength) throw corrupt('its length is not what its header says')
  const body = f.take(bodyLength)
  if (!sum(body).equals(bodySum)) throw corrupt('its body does not have its Sum')
  const signed = bytes.subarray(0, f.at)
  const signature = algorithm === 1 ? { signer: f.hex(16), bytes: f.take(64) } : undefined
  f.end()
  return { kind, cipher, key: key.toString('hex'), nonce, body, header: bytes.subarray(0, 80), signed, signature }
}

// checkSigner refuses a record that this key has not signed.
export function checkSigner(record, id, publicKey) {
  if (record.signature.signer !== id) throw corrupt('it is signed by another key than it has to be')
  checkSignature(publicKey, record.signed, record.signature.bytes)
}

// checkRole refuses a record whose signer is not in the ring with that role.
export function checkRole(record, signers, role) {
  const signer = signers.get(record.signature.signer)
  if (!signer) throw unsupported(`it is signed by key ${record.signature.signer}, which the ring does not know`)
  checkSignature(signer.public, record.signed, record.signature.bytes)
  if (!signer.roles.includes(role)) throw corrupt(`it is signed by a key that may not ${role}`)
}

// open returns the plain body of a record that is sealed with that key.
export function open(record, id, key) {
  if (record.cipher !== 1) throw corrupt('it is not sealed, in an encrypted repository')
  if (record.key !== id) throw unsupported(`it is sealed with key ${record.key}, which the ring does not have for it`)
  const kind = Buffer.alloc(8)
  kind.write(record.kind)
  const secret = derive('ivdmover 2026 format 1: key and nonce of a record', [key, kind, record.nonce], 44)
  return unseal(secret.subarray(0, 32), secret.subarray(32), record.body, record.header)
}

// body reads a JSON body, which MUST say the repository, the domain and the
// name that it was read by.
export function body(bytes, repository, domain, name) {
  const value = json.parse(bytes)
  if (value?.requires !== undefined) {
    const words = json.array(value, 'requires')
    if (words.length > 0) throw unsupported(`it requires ${JSON.stringify(words.join(', '))}, which this reader does not know`)
  }
  for (const [key, want] of [['repository', repository], ['domain', domain], ['object', name]]) {
    if (json.string(value, key) !== want) throw corrupt(`it says another ${key}: ${JSON.stringify(value[key])}`)
  }
  return value
}
