import { createDecipheriv } from 'node:crypto'
import { blake3 } from '@noble/hashes/blake3.js'
import { ed25519 } from '@noble/curves/ed25519.js'
import { corrupt } from './fault.js'

// sum is the format's Sum: BLAKE3, 256 bits, without a key.
export const sum = (bytes) => Buffer.from(blake3(bytes))

// keyedSum is BLAKE3 in keyed mode.
export const keyedSum = (key, bytes) => Buffer.from(blake3(bytes, { key }))

// derive is BLAKE3's derive_key mode over the inputs, one after the other
// (docs/format.md, "Encryption").
export const derive = (context, inputs, length = 32) =>
  Buffer.from(blake3(Buffer.concat(inputs), { context: Buffer.from(context), dkLen: length }))

// keyID names a key: of a pair, its public half.
export const keyID = (key) => derive('ivdmover 2026 format 1: id of a key', [key]).subarray(0, 16).toString('hex')

// unseal opens AES-256-GCM. What is sealed ends with its tag of 16 bytes.
export function unseal(key, nonce, sealed, beside) {
  if (sealed.length < 16) throw corrupt('what is sealed is cut off')
  const aes = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 })
  aes.setAAD(beside)
  aes.setAuthTag(sealed.subarray(-16))
  try {
    return Buffer.concat([aes.update(sealed.subarray(0, -16)), aes.final()])
  } catch {
    throw corrupt('the authentication tag does not hold')
  }
}

// checkSignature refuses what the key has not signed (Ed25519, RFC 8032).
export function checkSignature(publicKey, message, signature) {
  let ok = false
  try {
    ok = ed25519.verify(signature, message, publicKey, { zip215: false })
  } catch {
    // A signature or a key that is no point of the curve.
  }
  if (!ok) throw corrupt('the signature does not hold')
}

export const publicOf = (seed) => Buffer.from(ed25519.getPublicKey(seed))
