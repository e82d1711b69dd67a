import { corrupt, unsupported, within } from './fault.js'
import { checkZero, Fields, isZero, uuidBytes } from './fields.js'
import * as frame from './frame.js'
import { openSealed } from './hpke.js'
import { derive } from './sums.js'

// Packs: docs/format.md, "Packs" and "Packs that are sealed".

export const data = { folder: 'data', kind: 1 }
export const index = { folder: 'index', kind: 2 }

export const headerSize = 96
export const trailerSize = 32 // without the signature
export const entrySize = 48
const sealedKeySize = 1168
const maxFrames = 524288
const maxOpen = 256 // packs that are remembered
export const maxSize = 2 ** 30

export const nameOf = (type, domain, id) => `${type.folder}/${domain}/${id.slice(0, 2)}/${id}`

// Packs opens packs of one domain, and remembers the last ones and all frame keys.
export class Packs {
  #open = new Map()
  #frameKeys = new Map()

  constructor(repository, domain) {
    this.repository = repository
    this.domain = domain
    this.contentID = (bytes) => repository.keys.contentID(domain, bytes).toString('hex')
  }

  // at opens the pack of a reference, whose writer and nonce its header MUST say.
  at(type, reference) {
    const name = nameOf(type, this.domain, reference.pack)
    const pack = this.#open.get(name) ?? this.open(type, name)
    this.#open.set(name, pack)
    if (this.#open.size > maxOpen) this.#open.delete(this.#open.keys().next().value) // the first that was opened
    return within(name, () => {
      if (pack.writer !== reference.writer || pack.nonce !== reference.nonce) throw corrupt('its writer or nonce is not what names it')
      return pack
    })
  }

  // open reads a pack's header, and derives its keys.
  open(type, name) {
    const folder = this.repository.folder
    const encrypted = this.repository.keys.encrypted
    const sealedKey = encrypted && type === data ? sealedKeySize : 0
    const header = folder.range(name, 0, headerSize)
    return within(name, () => {
      const pack = parseHeader(header, type, encrypted)
      if (pack.repository !== this.repository.id || pack.domain !== this.domain) throw corrupt('it is of another repository or domain')
      pack.sealedKey = folder.range(name, headerSize, sealedKey)
      const keys = encrypted ? this.#keys(type, pack) : {}
      return new Pack(this, type, name, { ...pack, ...keys })
    })
  }

  // #keys derives the keys of a sealed pack's frames.
  #keys(type, pack) {
    const keys = this.repository.keys.domain(this.domain)
    const from = (what, key) => {
      const context = `ivdmover 2026 format 1: ${what}`
      const packKey = derive(context, [key, Buffer.from([type.kind]), uuidBytes(pack.writer), Buffer.from(pack.nonce, 'hex')])
      const both = derive('ivdmover 2026 format 1: key and nonces of frames', [packKey], 64)
      return { packHeader: pack.header, aes: both.subarray(0, 32), nonceKey: both.subarray(32) }
    }
    if (type === index) {
      const all = from('frames of an index pack', keys.metadata.key)
      return { frameKeys: all, directoryKeys: all }
    }
    return {
      frameKeys: from('chunks of a data pack', this.#frameKey(keys, pack)),
      directoryKeys: from('directory of a data pack', keys.metadata.key),
    }
  }

  // #frameKey opens the frame key behind the header of a data pack. All packs
  // of a writer have the same one, and opening it takes a moment.
  #frameKey(keys, pack) {
    const info = `ivdmover 2026 format 1: frame key ${this.repository.id} ${this.domain} ${pack.writer} ${pack.dataKey}`
    const cached = info + pack.sealedKey.toString('hex')
    if (!this.#frameKeys.has(cached)) {
      const seed = keys.data.get(pack.dataKey)
      if (!seed) throw unsupported(`its frame key is sealed to data key ${pack.dataKey}, which the ring does not have`)
      this.#frameKeys.set(cached, openSealed(seed, Buffer.from(info), pack.sealedKey))
    }
    return this.#frameKeys.get(cached)
  }
}

function parseHeader(header, type, encrypted) {
  const f = new Fields(header, 'pack')
  f.magic('IVDPACK\0')
  f.known(2, 'version', 1)
  const kind = f.known(1, 'kind', data.kind, index.kind)
  const cipher = f.known(1, 'cipher', 0, 1)
  const hash = f.known(1, 'hash', 1, 2)
  f.zero(3)
  const pack = { header, repository: f.uuid(), domain: f.uuid(), writer: f.uuid(), nonce: f.hex(16), dataKey: f.hex(16) }
  if (kind !== type.kind) throw corrupt(`it is of kind ${kind}, not ${type.kind}`)
  if (hash !== 1 + cipher) throw unsupported(`hash ${hash} with cipher ${cipher} is not known`)
  if (cipher !== Number(encrypted)) throw corrupt('its cipher is not that of the repository')
  const dataKey = Buffer.from(pack.dataKey, 'hex')
  if (!encrypted || type !== data) checkZero(dataKey, 'data key')
  else if (isZero(dataKey)) throw corrupt('it is sealed, and has no data key')
  return pack
}

class Pack {
  #directory

  constructor(packs, type, name, fields) {
    Object.assign(this, fields)
    this.packs = packs
    this.type = type
    this.name = name
    this.begin = headerSize + this.sealedKey.length // of the first frame
  }

  // content reads and opens the frame at a place.
  content(kind, id, place) {
    const bytes = this.packs.repository.folder.range(this.name, place.offset, place.length)
    return within(this.name, () => this.openFrame(bytes, kind, id))
  }

  openFrame(bytes, kind, id) {
    return frame.open(bytes, kind, id, this.packs.contentID, kind === frame.directory ? this.directoryKeys : this.frameKeys)
  }

  // trailer reads the pack's last bytes: where its directory is, and its signature.
  trailer() {
    const folder = this.packs.repository.folder
    const size = folder.size(this.name)
    return within(this.name, () => {
      if (size < this.begin + frame.overhead + trailerSize) throw corrupt('it is cut off')
      const fields = folder.range(this.name, size - trailerSize, trailerSize)
      return parseTrailer(fields, size, this.begin, this.packs.repository.keys.encrypted, (offset, length) => folder.range(this.name, offset, length))
    })
  }

  // directory returns the pack's entries, in order of their frames.
  directory() {
    return (this.#directory ??= this.#readDirectory())
  }

  #readDirectory() {
    const { entries, offset, length } = this.trailer()
    const bytes = this.packs.repository.folder.range(this.name, offset, length)
    return within(this.name, () => {
      const header = frame.parseHeader(bytes)
      if (header.number !== entries || header.compression !== 0) throw corrupt('its directory is not its last frame, uncompressed')
      const plain = this.openFrame(bytes, frame.directory, header.id)
      if (plain.length !== entries * entrySize) throw corrupt('its directory has another number of entries than its trailer says')
      return parseDirectory(plain, this.type, this.begin, offset)
    })
  }
}

function parseTrailer(fields, size, begin, encrypted, range) {
  const f = new Fields(fields, 'trailer')
  f.magic('IVDT')
  f.known(1, 'version', 1)
  const algorithm = f.known(1, 'signature algorithm', 0, 1)
  f.zero(2)
  const [entries, offset, length, signatureLength] = [f.u32(), f.u32(), f.u32(), f.u32()]
  f.magic('IVDPEND\0')
  if (encrypted && algorithm === 0) throw corrupt('it is not signed, unlike the repository')
  if (!encrypted && algorithm !== 0) throw unsupported('it is signed, in a plain repository')
  if (signatureLength !== 64) throw corrupt('the length of its signature is wrong')
  if (entries > maxFrames) throw unsupported(`it has ${entries} frames, more than the ${maxFrames} that this reader takes`)
  if (offset < begin || offset + length + signatureLength + trailerSize !== size) throw corrupt('its directory is not where its trailer says')
  if (length !== frame.overhead + entries * entrySize) throw corrupt('its directory has another length than its entries need')
  const signature = range(offset + length, signatureLength)
  if (!encrypted) checkZero(signature, 'signature')
  return { fields, entries, offset, length, signature }
}

// parseDirectory reads the entries; frames lie without gaps up to the directory.
function parseDirectory(plain, type, begin, end) {
  const f = new Fields(plain, 'directory')
  const entries = []
  let at = begin
  while (f.left > 0) {
    const entry = { id: f.hex(32), offset: f.u32(), length: f.u32(), plain: f.u32(), kind: f.known(1, 'kind', frame.chunk, frame.node, frame.page, frame.directory), compression: f.known(1, 'compression', 0, 1) }
    f.zero(2)
    if (entry.offset !== at) throw corrupt('its frames have gaps')
    if ((entry.kind === frame.chunk) !== (type === data) || entry.kind === frame.directory) throw corrupt(`a frame of kind ${entry.kind} does not belong in it`)
    at += entry.length
    entries.push(entry)
  }
  if (at !== end) throw corrupt('its frames do not end where its directory begins')
  return entries
}
