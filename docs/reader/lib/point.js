import { corrupt, Fault, refused, unsupported, within } from './fault.js'
import * as json from './json.js'
import { sum } from './sums.js'
import { checkPlace, geometry } from './tree.js'

// Restore points: docs/format.md, "Objects" and "Point".

const pointName = /^points\/([0-9a-f-]{36})\/([0-9a-z][0-9a-z.-]{0,127})\/([0-9a-z][0-9a-z.-]{0,127})\/(\d{8}T\d{6}Z)-([0-9a-z-]{1,64})(\.p[1-9][0-9]*)?$/
const maxCapacity = 2 ** 50
const day = 24 * 60 * 60 * 1000

// listPoints returns the names of all points, oldest first, each with its short id.
export function listPoints(repository) {
  const points = []
  for (const object of repository.folder.list('points')) {
    const match = pointName.exec(object)
    if (!match || !json.isUUID(match[1])) continue
    const [, domain, source, disk, time, run, partial] = match
    const name = object.slice('points/'.length)
    points.push({ object, name, domain, source, disk, time, run, partial: partial !== undefined, sum: sum(Buffer.from(name)).toString('hex') })
  }
  shorten(points)
  return points.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : a.name < b.name ? -1 : 1))
}

// shorten gives each point its short id: the first 8 digits of the Sum of its
// long name, or as many more as tell it from others.
function shorten(points) {
  const sorted = [...points].sort((a, b) => (a.sum < b.sum ? -1 : 1))
  const common = (a, b) => {
    let n = 0
    while (a && b && n < a.sum.length && a.sum[n] === b.sum[n]) n++
    return n
  }
  sorted.forEach((p, i) => {
    p.short = p.sum.slice(0, Math.max(8, 1 + common(p, sorted[i - 1]), 1 + common(p, sorted[i + 1])))
  })
}

// findPoint finds a point by its long name, or by the beginning of the Sum of that.
export function findPoint(repository, wanted) {
  const points = listPoints(repository)
  const found = points.filter((p) => p.name === wanted || (/^[0-9a-f]{8,}$/.test(wanted) && p.sum.startsWith(wanted)))
  if (found.length === 0) throw refused(`there is no point ${wanted}; "points" lists them`)
  if (found.length > 1) throw refused(`${found.length} points begin with ${wanted}: give more digits, or the long name`)
  if (found[0].partial) throw refused(`point ${wanted} is partial: only some of its disk was read, and it cannot be restored`)
  return found[0]
}

// readPoint reads a point's record.
export function readPoint(repository, listed) {
  const body = repository.point(listed.object)
  return within(listed.object, () => {
    for (const [key, is, want] of [
      ['source', json.string(json.object(body, 'source'), 'id'), listed.source],
      ['disk', json.string(json.object(body, 'disk'), 'id'), listed.disk],
      ['run', json.string(body, 'run'), listed.run],
    ]) {
      if (is !== want) throw corrupt(`it says another ${key} than its name: ${JSON.stringify(is)}`)
    }
    if (listed.partial !== (body.partial !== undefined)) throw corrupt('its name and its body differ in whether it is partial')
    checkWords(body)
    const { capacity, chunkSize } = readGeometry(json.object(body, 'geometry'))
    const pages = listed.partial ? [] : readPages(json.array(body, 'pages'), geometry(capacity, chunkSize))
    return { ...listed, capacity, chunkSize, pages, diskName: body.disk.name === undefined ? '' : json.string(body.disk, 'name'), ...readTimes(body) }
  })
}

function checkWords(body) {
  json.word(body.source, 'kind', 'vcenter', 'esxi')
  json.word(body.disk, 'kind', 'ivd', 'vm_disk')
  json.word(body, 'consistency', 'crash', 'quiesced')
  const tracking = json.object(body, 'tracking')
  json.word(tracking, 'cbt', 'on', 'off', 'unused')
  json.word(tracking, 'mode', 'changed', 'in_use', 'allocated')
}

function readGeometry(object) {
  const capacity = json.number(object, 'capacity')
  if (capacity > maxCapacity) throw unsupported(`a disk of ${capacity} bytes is larger than this reader takes`)
  const chunkSize = json.number(object, 'chunk_size', 1)
  const power = 2 ** Math.round(Math.log2(chunkSize))
  if (chunkSize !== power || chunkSize < 64 << 10 || chunkSize > 8 << 20) throw unsupported(`a chunk size of ${chunkSize} is not known`)
  return { capacity, chunkSize }
}

// readTimes goes by sealed_at where the snapshot's time is more than a day from it.
function readTimes(body) {
  const time = json.time(body, 'time')
  if (body.sealed_at === undefined) return { at: time }
  const sealed = json.time(body, 'sealed_at')
  return Math.abs(time - sealed) > day ? { at: sealed, why: `by sealed_at; the snapshot says ${time.toISOString()}` } : { at: time }
}

function readPages(list, disk) {
  let before = -1
  return list.map((entry) => {
    const page = json.number(entry, 'page')
    if (page <= before || page >= disk.pages) throw corrupt('its pages are not in order, or more than the capacity makes')
    before = page
    const place = json.object(entry, 'place')
    return {
      page,
      id: json.hex(entry, 'id', 32),
      place: checkPlace({
        pack: json.hex(place, 'pack', 32),
        writer: json.uuid(place, 'writer'),
        nonce: json.hex(place, 'nonce', 16),
        offset: json.number(place, 'offset'),
        length: json.number(place, 'length'),
      }),
    }
  })
}

// describe returns a line for each point: what it is of, and what is to be
// said of it. What cannot be read is shown too, with the reason.
export function describe(repository, listed) {
  const notes = []
  if (listed.partial) notes.push('partial: cannot be restored')
  if (repository.folder.has(`forgotten/${listed.name}`)) notes.push('forgotten: a collection may delete it')
  if (repository.folder.has(`quarantined/${listed.name}`)) notes.push('quarantined')
  try {
    const point = readPoint(repository, listed)
    if (point.why) notes.push(point.why)
    return { ...point, notes }
  } catch (err) {
    if (!(err instanceof Fault)) throw err
    return { ...listed, fault: err, notes: [...notes, `${err.kind}: ${err.message}`] }
  }
}
