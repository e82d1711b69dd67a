import { corrupt, unsupported } from './fault.js'
import { checkZero, Fields } from './fields.js'
import { keyedSum, unseal } from './sums.js'
import { inflate } from './zstd.js'

// Frames: docs/format.md, "Frame header", "Frame tag", "Packs that are sealed".

export const chunk = 1
export const node = 2
export const page = 3
export const directory = 4

export const headerSize = 56
export const overhead = 72 // of a frame over its stored content

export const maxPlain = 32 << 20
const maxChunk = 8 << 20

// parseHeader reads a frame's header, and checks what it says of itself.
export function parseHeader(bytes) {
  const f = new Fields(bytes, 'frame')
  f.magic('IVDF')
  f.known(1, 'version', 1)
  const kind = f.known(1, 'kind', chunk, node, page, directory)
  const compression = f.known(1, 'compression', 0, 1)
  f.zero(1)
  const number = f.u32()
  const plain = f.u32()
  const stored = f.u32()
  f.known(4, 'dictionary', 0)
  const id = f.hex(32)
  const most = kind === chunk ? maxChunk : maxPlain
  if (plain > most) throw unsupported(`a frame of kind ${kind} has ${plain} bytes, more than the ${most} that this reader takes`)
  if (stored > plain || (compression === 0 && stored !== plain)) throw corrupt('the lengths of a frame contradict each other')
  return { kind, compression, number, plain, stored, id, length: overhead + stored }
}

// open returns the plain content of a whole frame of that kind and id.
// contentID computes the id of a plain content; keys are the frames' of a pack,
// nothing where the cipher is none.
export function open(bytes, kind, id, contentID, keys) {
  const header = parseHeader(bytes)
  if (header.length !== bytes.length) throw corrupt('a frame has another length than its header says')
  if (header.kind !== kind) throw corrupt(`a frame is of kind ${header.kind}, not ${kind}`)
  if (header.id !== id) throw corrupt(`a frame has content ${header.id}, not ${id}`)
  const stored = keys ? unsealFrame(bytes, keys) : clearContent(bytes)
  const plain = header.compression === 1 ? inflate(stored, header.plain) : stored
  if (contentID(plain) !== id) throw corrupt(`a content does not have its id ${id}`)
  return plain
}

function clearContent(bytes) {
  checkZero(bytes.subarray(-16), 'frame tag')
  return bytes.subarray(headerSize, -16)
}

function unsealFrame(bytes, { packHeader, aes, nonceKey }) {
  const head = bytes.subarray(0, headerSize)
  const nonce = Buffer.concat([head.subarray(8, 12), keyedSum(nonceKey, head).subarray(0, 8)])
  return unseal(aes, nonce, bytes.subarray(headerSize), Buffer.concat([packHeader, head]))
}
