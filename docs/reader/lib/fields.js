import { corrupt, unsupported } from './fault.js'

// Fields reads a structure field by field: integers are unsigned and
// little-endian (docs/format.md, the beginning). It never reads beyond the
// bytes that there are.
export class Fields {
  constructor(bytes, what) {
    this.bytes = bytes
    this.what = what
    this.at = 0
  }

  get left() {
    return this.bytes.length - this.at
  }

  take(n) {
    if (n > this.left) throw corrupt(`the ${this.what} is cut off`)
    this.at += n
    return this.bytes.subarray(this.at - n, this.at)
  }

  u8 = () => this.take(1)[0]
  u16 = () => this.take(2).readUInt16LE()
  u32 = () => this.take(4).readUInt32LE()

  // u64 is a number that JavaScript can count with: nothing in the format has
  // a right to be larger.
  u64() {
    const n = this.take(8).readBigUInt64LE()
    if (n > BigInt(Number.MAX_SAFE_INTEGER)) throw corrupt(`a figure of the ${this.what} is too large`)
    return Number(n)
  }

  hex = (n) => this.take(n).toString('hex')
  uuid = () => uuidText(this.take(16))

  // magic is a text that MUST stand here: without it, this is something else.
  magic(text) {
    if (this.take(text.length).toString('latin1') !== text) throw corrupt(`it does not have the magic of a ${this.what}`)
  }

  // known is a field of which this reader knows some values.
  known(size, name, ...values) {
    const value = size === 1 ? this.u8() : size === 2 ? this.u16() : this.u32()
    if (!values.includes(value)) throw unsupported(`${name} ${value} of the ${this.what} is not known`)
    return value
  }

  // zero bytes are kept for later versions.
  zero(n) {
    checkZero(this.take(n), this.what)
  }

  end() {
    if (this.left !== 0) throw corrupt(`there are bytes behind the ${this.what}`)
  }
}

export const isZero = (bytes) => bytes.every((b) => b === 0)

// checkZero refuses bytes that have to be zero here, and may not be in a later version.
export function checkZero(bytes, what) {
  if (!isZero(bytes)) throw unsupported(`a zero byte of the ${what} is not zero`)
}

// A UUID is 16 bytes in the order of its text.
export const uuidBytes = (text) => Buffer.from(text.replaceAll('-', ''), 'hex')
export const uuidText = (bytes) => bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
