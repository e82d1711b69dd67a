import { corrupt, unsupported, within } from './fault.js'
import { checkZero, Fields, uuidBytes } from './fields.js'
import * as frame from './frame.js'
import * as pack from './pack.js'

// The tree of a point: docs/format.md, "The tree".

const chunksOfSpan = 256
const spansOfPage = 1024
const itself = 'ff'.repeat(32) // the pack that a page was read from

// geometry computes what a capacity and a chunk size make of a disk.
export function geometry(capacity, chunkSize) {
  const chunks = Math.ceil(capacity / chunkSize)
  const spans = Math.ceil(chunks / chunksOfSpan)
  return {
    capacity,
    chunkSize,
    pages: Math.ceil(spans / spansOfPage),
    spansOf: (page) => Math.min(spansOfPage, spans - page * spansOfPage),
    chunksOf: (span) => Math.min(chunksOfSpan, chunks - span * chunksOfSpan),
    lengthOf: (chunk) => Math.min(chunkSize, capacity - chunk * chunkSize),
  }
}

// chunks yields each chunk of a point's disk that is not zeros, in order, with
// the place where it lies. All that it yields was checked from the point down.
export function* chunks(packs, point) {
  const disk = geometry(point.capacity, point.chunkSize)
  for (const entry of point.pages) {
    const lies = packs.at(pack.index, entry.place)
    const plain = lies.content(frame.page, entry.id, entry.place)
    const spans = within(`page ${entry.page} in ${lies.name}`, () => parsePage(plain, entry, disk))
    for (const span of spans) yield* chunksOfNode(packs, span, disk)
  }
}

function* chunksOfNode(packs, span, disk) {
  const lies = packs.at(pack.index, span.place)
  const plain = lies.content(frame.node, span.id, span.place)
  yield* within(`node ${span.span} in ${lies.name}`, () => parseNode(plain, span, disk))
}

// parseHead reads what pages and nodes begin with.
function parseHead(f, magic, number, chunkSize, count) {
  f.magic(magic)
  f.known(1, 'version', 1)
  f.zero(3)
  if (f.u64() !== number) throw corrupt('it is of another place of the disk')
  if (f.u32() !== chunkSize) throw corrupt('it has another chunk size than its point')
  if (f.u32() !== count) throw corrupt('it has another number of entries than the capacity makes')
  const packs = f.u32()
  f.zero(4)
  return packs
}

// parseTable reads a pack table, strictly ascending, of so many packs.
function parseTable(f, count) {
  if (count * 64 > f.left) throw corrupt('its pack table is cut off')
  const table = []
  for (let i = 0; i < count; i++) {
    table.push({ pack: f.hex(32), writer: f.uuid(), nonce: f.hex(16) })
    if (i > 0 && table[i - 1].pack >= table[i].pack) throw corrupt('its pack table is not in order')
  }
  return table
}

// parsePage returns the spans of a page that are not zeros.
function parsePage(plain, { page, place }, disk) {
  const f = new Fields(plain, 'page')
  const count = disk.spansOf(page)
  const table = parseTable(f, parseHead(f, 'IVDP', page, disk.chunkSize, count)).map((reference) => own(reference, place))
  const used = new Set()
  const spans = []
  for (let i = 0; i < count; i++) {
    if (f.known(1, 'state of a span', 0, 1) === 0) continue
    const id = f.hex(32)
    const at = f.u32()
    const where = { offset: f.u32(), length: f.u32() }
    const needs = parseNeeds(f, table, used)
    if (!needs.has(table[at]?.pack)) throw corrupt('a span does not need the pack that its node lies in')
    spans.push({ span: page * spansOfPage + i, id, place: checkPlace({ ...table[at], ...where }), needs })
  }
  f.end()
  if (used.size !== table.length) throw corrupt('its pack table has a pack without use')
  return spans
}

// own puts the page's own pack in the place of the id of 0xff.
function own(reference, place) {
  if (reference.pack !== itself) return reference
  checkZero(Buffer.concat([uuidBytes(reference.writer), Buffer.from(reference.nonce, 'hex')]), 'reference to its own pack')
  return { pack: place.pack, writer: place.writer, nonce: place.nonce }
}

// parseNeeds returns the references of the packs that a span needs, by their ids.
function parseNeeds(f, table, used) {
  const count = f.u32()
  if (count * 4 > f.left) throw corrupt('a list of packs is cut off')
  const needs = new Map()
  for (let i = 0, before = -1; i < count; i++) {
    const at = f.u32()
    if (at <= before || at >= table.length) throw corrupt('a list of packs is not in order')
    before = at
    used.add(at)
    needs.set(table[at].pack, table[at])
  }
  return needs
}

// parseNode returns the chunks of a node that are not zeros.
function parseNode(plain, { span, needs }, disk) {
  const f = new Fields(plain, 'node')
  const count = disk.chunksOf(span)
  const packs = parseHead(f, 'IVDN', span, disk.chunkSize, count)
  const bitmap = f.take(chunksOfSpan / 8)
  const table = parseTable(f, packs)
  for (const { pack, writer, nonce } of table) {
    const need = needs.get(pack)
    if (need?.writer !== writer || need?.nonce !== nonce) throw corrupt('it names a pack which its page does not say the span needs')
  }
  const used = new Set()
  const found = []
  for (let i = 0; i < chunksOfSpan; i++) {
    if (!(bitmap[i >> 3] & (1 << (i & 7)))) continue
    if (i >= count) throw corrupt('it has a chunk behind the end of the disk')
    found.push(parseChunk(f, table, used, span * chunksOfSpan + i))
  }
  f.end()
  if (used.size !== table.length) throw corrupt('its pack table has a pack without use')
  return found
}

function parseChunk(f, table, used, chunk) {
  const id = f.hex(32)
  const at = f.u16()
  if (at >= table.length) throw corrupt('a chunk lies in a pack that is not in the table')
  used.add(at)
  return { chunk, id, place: checkPlace({ ...table[at], offset: f.u32(), length: f.u32() }) }
}

// checkPlace refuses a place where no frame can be, before anything is read.
export function checkPlace(place) {
  if (place.offset < pack.headerSize || place.length <= frame.overhead) throw corrupt('a place is before the first frame, or shorter than a frame')
  if (place.length > frame.overhead + frame.maxPlain) throw unsupported(`a frame of ${place.length} bytes is larger than this reader takes`)
  if (place.offset + place.length > pack.maxSize) throw unsupported(`a place at byte ${place.offset} is in a pack larger than this reader takes`)
  return place
}
