import { decompress } from 'fzstd'
import { corrupt } from './fault.js'
import { Fields } from './fields.js'

// inflate decompresses a frame's stored content, after it was checked to be
// exactly one zstd frame of that plain length, without a dictionary, and with
// a window not larger than that (docs/format.md, "Frame tag"; RFC 8878, 3.1.1).
export function inflate(stored, plainLength) {
  checkFrame(stored, plainLength)
  const plain = Buffer.alloc(plainLength)
  try {
    decompress(stored, plain)
  } catch (err) {
    throw corrupt(`the content does not decompress: ${err.message}`)
  }
  return plain
}

function checkFrame(stored, plainLength) {
  const f = new Fields(stored, 'zstd frame')
  if (f.u32() !== 0xfd2fb528) throw corrupt('the content is no zstd frame')
  const descriptor = f.u8()
  if (descriptor & 0x08) throw corrupt('the zstd frame has its reserved bit set')
  if (descriptor & 0x03) throw corrupt('the zstd frame names a dictionary')
  const single = (descriptor & 0x20) !== 0
  const window = single ? undefined : windowSize(f.u8())
  const content = contentSize(f, descriptor >> 6, single)
  if (content !== plainLength) throw corrupt('the zstd frame does not state the plain length')
  if ((window ?? content) > plainLength) throw corrupt('the window of the zstd frame is larger than the plain length')
  skipBlocks(f)
  if (descriptor & 0x04) f.take(4)
  f.end()
}

function windowSize(byte) {
  const base = 2 ** (10 + (byte >> 3))
  return base + (base / 8) * (byte & 7)
}

function contentSize(f, flag, single) {
  if (flag === 0) return single ? f.u8() : undefined
  return flag === 1 ? f.u16() + 256 : flag === 2 ? f.u32() : f.u64()
}

function skipBlocks(f) {
  for (let last = false; !last; ) {
    const header = f.take(3).readUIntLE(0, 3)
    const type = (header >> 1) & 3
    if (type === 3) throw corrupt('a block of the zstd frame is of a reserved type')
    last = (header & 1) === 1
    f.take(type === 1 ? 1 : header >> 3)
  }
}
