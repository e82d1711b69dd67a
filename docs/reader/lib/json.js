import { corrupt, unsupported } from './fault.js'

const maxDepth = 16
const escapes = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

// parse reads JSON as strictly as docs/format.md, "JSON", wants it: what two
// parsers could read in two ways is corrupt. Objects have no prototype.
export function parse(bytes) {
  let text
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw corrupt('the JSON is no UTF-8')
  }
  const parser = new Parser(text)
  const value = parser.value(0)
  if (parser.peek() !== undefined) throw corrupt('there are bytes behind the JSON value')
  return value
}

class Parser {
  constructor(text) {
    this.text = text
    this.at = 0
  }

  // peek skips white space and returns what follows.
  peek() {
    while (' \t\r\n'.includes(this.text[this.at] ?? 'end')) this.at++
    return this.text[this.at]
  }

  accept(c) {
    if (this.peek() !== c) return false
    this.at++
    return true
  }

  expect(c) {
    if (!this.accept(c)) throw corrupt(`the JSON has no ${c} at character ${this.at}`)
  }

  value(depth) {
    const c = this.peek()
    if ((c === '{' || c === '[') && depth === maxDepth) throw corrupt(`the JSON is deeper than ${maxDepth}`)
    if (c === '{') return this.object(depth + 1)
    if (c === '[') return this.array(depth + 1)
    if (c === '"') return this.string()
    for (const [word, value] of [['true', true], ['false', false], ['null', null]]) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length
        return value
      }
    }
    return this.number()
  }

  object(depth) {
    const object = Object.create(null)
    const seen = new Set()
    this.expect('{')
    if (this.accept('}')) return object
    do {
      if (this.peek() !== '"') throw corrupt('a JSON object has a key that is no text')
      const key = this.string()
      const folded = key.toUpperCase().toLowerCase()
      if (seen.has(folded)) throw corrupt(`the JSON has the key ${JSON.stringify(key)} twice, or in two spellings`)
      seen.add(folded)
      this.expect(':')
      object[key] = this.value(depth)
    } while (this.accept(','))
    this.expect('}')
    return object
  }

  array(depth) {
    const array = []
    this.expect('[')
    if (this.accept(']')) return array
    do array.push(this.value(depth))
    while (this.accept(','))
    this.expect(']')
    return array
  }

  string() {
    let s = ''
    this.at++
    for (;;) {
      const c = this.text[this.at++]
      if (c === undefined || c < ' ') throw corrupt('a JSON text does not end, or has a control character')
      if (c === '"') break
      s += c === '\\' ? this.escape() : c
    }
    if (!s.isWellFormed()) throw corrupt('a JSON text has a lone surrogate')
    return s
  }

  escape() {
    const c = this.text[this.at++]
    if (Object.hasOwn(escapes, c)) return escapes[c]
    const hex = this.text.slice(this.at, this.at + 4)
    if (c !== 'u' || !/^[0-9a-fA-F]{4}$/.test(hex)) throw corrupt('the JSON has an escape that is none')
    this.at += 4
    return String.fromCharCode(parseInt(hex, 16))
  }

  // number takes integers alone: no fraction, no exponent, no -0, below 2^53.
  number() {
    const [digits] = /^-?[0-9.eE+-]*/.exec(this.text.slice(this.at, this.at + 32))
    if (!/^(0|-?[1-9][0-9]*)$/.test(digits)) throw corrupt(`the JSON has no value that is allowed at character ${this.at}`)
    const n = Number(digits)
    if (!Number.isSafeInteger(n)) throw corrupt('the JSON has a number of 2^53 or beyond')
    this.at += digits.length
    return n
  }
}

const isObject = (v) => v !== null && typeof v === 'object' && !Array.isArray(v)

// The following take a value of a key, which MUST be there and of that kind.
function need(object, key, ok, what) {
  const value = isObject(object) ? object[key] : undefined
  if (!ok(value)) throw corrupt(`${key} is not ${what}`)
  return value
}

export const number = (object, key, min = 0) => need(object, key, (v) => Number.isInteger(v) && v >= min, `a number of ${min} or more`)
export const string = (object, key) => need(object, key, (v) => typeof v === 'string', 'a text')
export const object = (object, key) => need(object, key, isObject, 'an object')
export const array = (object, key) => need(object, key, Array.isArray, 'a list')
export const hex = (object, key, bytes) =>
  need(object, key, (v) => typeof v === 'string' && v.length === 2 * bytes && /^[0-9a-f]*$/.test(v), `${bytes} bytes in hexadecimal digits`)
export const uuid = (object, key) => need(object, key, isUUID, 'a UUID')
export const time = (object, key) => new Date(need(object, key, isTime, 'a time that ends in Z'))

// word is a text of which this reader knows some; it may be absent.
export function word(object, key, ...words) {
  if (object[key] !== undefined && !words.includes(string(object, key))) throw unsupported(`${key} ${JSON.stringify(object[key])} is not known`)
}

// base64 decodes RFC 4648's alphabet with padding; size is in bytes, where it is fixed.
export function base64(object, key, size) {
  const text = string(object, key)
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text) throw corrupt(`${key} is not base64`)
  if (size !== undefined && bytes.length !== size) throw corrupt(`${key} does not have ${size} bytes`)
  return bytes
}

export const isUUID = (v) => typeof v === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(v)
const isTime = (v) =>
  typeof v === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(v) && !Number.isNaN(Date.parse(v))
