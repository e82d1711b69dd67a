import { createHmac } from 'node:crypto'
import { x25519 } from '@noble/curves/ed25519.js'
import { sha3_256, shake256 } from '@noble/hashes/sha3.js'
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import { corrupt } from './fault.js'
import { unseal } from './sums.js'

// HPKE, RFC 9180, base mode, with KEM 25722 (ML-KEM-768 with X25519: X-Wing),
// KDF 1 (HKDF-SHA256), AEAD 2 (AES-256-GCM), for one message.
const suite = Buffer.concat([Buffer.from('HPKE'), u16(25722), u16(1), u16(2)])
const encapsulated = 1120 // of ML-KEM-768 1,088, of X25519 32

// openSealed opens what was sealed to the data key whose private half is the seed.
export function openSealed(seed, info, sealed) {
  let shared
  try {
    shared = decapsulate(seed, sealed.subarray(0, encapsulated))
  } catch (err) {
    throw corrupt(`the frame key does not open: ${err.message}`)
  }
  const none = Buffer.alloc(0)
  const context = Buffer.concat([
    Buffer.from([0]), // mode_base
    extract(none, 'psk_id_hash', none),
    extract(none, 'info_hash', info),
  ])
  const secret = extract(shared, 'secret', none)
  return unseal(expand(secret, 'key', context, 32), expand(secret, 'base_nonce', context, 12), sealed.subarray(encapsulated), none)
}

// decapsulate is that of X-Wing, draft-connolly-cfrg-xwing-kem, section 5.
function decapsulate(seed, both) {
  const expanded = shake256(seed, { dkLen: 96 })
  const [ctM, ctX] = [both.subarray(0, -32), both.subarray(-32)]
  const skX = expanded.subarray(64)
  const ssM = ml_kem768.decapsulate(ctM, ml_kem768.keygen(expanded.subarray(0, 64)).secretKey)
  const ssX = x25519.getSharedSecret(skX, ctX)
  return sha3_256(Buffer.concat([ssM, ssX, ctX, x25519.getPublicKey(skX), Buffer.from('\\.//^\\')]))
}

const hmac = (key, ...parts) => createHmac('sha256', key).update(Buffer.concat(parts)).digest()

// LabeledExtract and LabeledExpand, RFC 9180, section 4. No output is longer
// than one block of HKDF.
const extract = (salt, label, input) => hmac(salt, Buffer.from('HPKE-v1'), suite, Buffer.from(label), input)
const expand = (secret, label, info, length) =>
  hmac(secret, u16(length), Buffer.from('HPKE-v1'), suite, Buffer.from(label), info, Buffer.from([1])).subarray(0, length)

function u16(n) {
  const b = Buffer.alloc(2)
  b.writeUInt16BE(n)
  return b
}
