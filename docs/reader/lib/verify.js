import { corrupt, Fault, within } from './fault.js'
import * as frame from './frame.js'
import * as json from './json.js'
import * as pack from './pack.js'
import { listPoints, readPoint } from './point.js'
import { checkSignature, sum } from './sums.js'
import { chunks, geometry } from './tree.js'

// verify reads all packs whole, and then follows every point's tree into them.
// Each fault is given to report; nothing is stopped by one.
export function verify(repository, report) {
  const counts = { packs: 0, frames: 0, points: 0 }
  const domains = new Map()
  const packsOf = (domain) => {
    if (!domains.has(domain)) domains.set(domain, new pack.Packs(repository, domain))
    return domains.get(domain)
  }
  for (const type of [pack.data, pack.index]) {
    for (const name of repository.folder.list(type.folder)) {
      if (!isPackName(name)) continue
      attempt(report, () => {
        counts.frames += verifyPack(packsOf(name.split('/')[1]), type, name)
        counts.packs++
      })
    }
  }
  for (const listed of listPoints(repository)) {
    attempt(report, () => {
      const point = readPoint(repository, listed)
      within(listed.object, () => verifyPoint(packsOf(point.domain), point))
      counts.points++
    })
  }
  return counts
}

function attempt(report, work) {
  try {
    work()
  } catch (err) {
    if (!(err instanceof Fault)) throw err
    report(err)
  }
}

function isPackName(name) {
  const [, domain, folder, id, ...rest] = name.split('/')
  return json.isUUID(domain) && /^[0-9a-f]{64}$/.test(id ?? '') && folder === id.slice(0, 2) && rest.length === 0
}

// verifyPack returns the number of frames of a pack that was found in order:
// its Sum is its name, its writer has signed it, its directory says of each
// frame what it is, each content has its id.
function verifyPack(packs, type, name) {
  const folder = packs.repository.folder
  const bytes = folder.read(name, pack.maxSize)
  return within(name, () => {
    if (sum(bytes).toString('hex') !== name.split('/')[3]) throw corrupt('its Sum is not its name')
    const opened = packs.open(type, name)
    const trailer = opened.trailer()
    if (packs.repository.keys.encrypted) verifySignature(opened, trailer, bytes)
    const entries = opened.directory()
    entries.forEach((entry, number) => {
      const framed = bytes.subarray(entry.offset, entry.offset + entry.length)
      const header = frame.parseHeader(framed)
      if (header.number !== number || header.plain !== entry.plain || header.compression !== entry.compression) throw corrupt(`frame ${number} is not what the directory says`)
      opened.openFrame(framed, entry.kind, entry.id)
    })
    return entries.length
  })
}

// verifySignature: docs/format.md, "Pack trailer". The writer is who its
// record says, and that record is signed by who may commit.
function verifySignature(opened, trailer, bytes) {
  const { repository, domain } = opened.packs
  const writer = repository.writer(`writers/${domain}/${opened.writer}`)
  if (json.uuid(writer, 'id') !== opened.writer) throw corrupt('the record of its writer is of another writer')
  const directorySum = sum(bytes.subarray(trailer.offset, trailer.offset + trailer.length))
  checkSignature(json.base64(writer, 'public', 32), Buffer.concat([opened.header, directorySum, trailer.fields]), trailer.signature)
  if (opened.type !== pack.data) return
  if (json.hex(writer, 'data_key', 16) !== opened.dataKey) throw corrupt('its data key is not that of its writer')
  if (!json.base64(writer, 'frame_key', opened.sealedKey.length).equals(opened.sealedKey)) throw corrupt('its frame key is not that of its writer')
}

// verifyPoint follows a point's tree, and looks for each chunk in the
// directory of its pack. Whether the pack is in order was seen before.
function verifyPoint(packs, point) {
  const disk = geometry(point.capacity, point.chunkSize)
  for (const { chunk, id, place } of chunks(packs, point)) {
    const opened = packs.at(pack.data, place)
    const entry = entryAt(opened.directory(), place.offset)
    within(opened.name, () => {
      if (entry?.id !== id || entry.length !== place.length) throw corrupt(`chunk ${chunk} is not where its node says`)
      if (entry.plain !== disk.lengthOf(chunk)) throw corrupt(`chunk ${chunk} has ${entry.plain} bytes, not ${disk.lengthOf(chunk)}`)
    })
  }
}

// entryAt finds the entry of a directory whose frame begins at that offset.
function entryAt(entries, offset) {
  let [low, high] = [0, entries.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (entries[middle].offset < offset) low = middle + 1
    else high = middle
  }
  return entries[low]?.offset === offset ? entries[low] : undefined
}
