import fs from 'node:fs'
import { corrupt, refused, within } from './fault.js'
import * as frame from './frame.js'
import * as pack from './pack.js'
import { chunks, geometry } from './tree.js'

// restore writes a point's disk into a new file, as docs/format.md, "Reading a
// disk without this code", says. The file gets its name when all of it is
// there, and what is there was compared with its id; else there is no file.
export function restore(repository, point, file) {
  const unfinished = `${file}.unfinished`
  for (const name of [file, unfinished]) {
    if (fs.existsSync(name)) throw refused(`${name} is there already: move it away, or give another name`)
  }
  const out = fs.openSync(unfinished, 'wx', 0o600)
  try {
    fs.ftruncateSync(out, point.capacity)
    const written = readDisk(repository, point, (bytes, offset) => writeFully(out, bytes, offset))
    fs.fsyncSync(out)
    publish(unfinished, file)
    return written
  } finally {
    fs.closeSync(out)
    fs.rmSync(unfinished, { force: true })
  }
}

// publish gives a file its name. A link fails where the name has been taken
// meanwhile; a file system without links has to do with a rename.
function publish(unfinished, file) {
  try {
    fs.linkSync(unfinished, file)
  } catch (err) {
    if (err.code === 'EEXIST') throw err
    fs.renameSync(unfinished, file)
  }
}

// readDisk gives each stored chunk of a disk to write, in order, with its
// offset; all else is zeros. It returns how many bytes it gave.
export function readDisk(repository, point, write) {
  const disk = geometry(point.capacity, point.chunkSize)
  const packs = new pack.Packs(repository, point.domain)
  let written = 0
  for (const { chunk, id, place } of chunks(packs, point)) {
    const lies = packs.at(pack.data, place)
    const bytes = lies.content(frame.chunk, id, place)
    within(lies.name, () => {
      if (bytes.length !== disk.lengthOf(chunk)) throw corrupt(`chunk ${chunk} has ${bytes.length} bytes, not ${disk.lengthOf(chunk)}`)
    })
    write(bytes, chunk * point.chunkSize)
    written += bytes.length
  }
  return written
}

function writeFully(out, bytes, offset) {
  for (let done = 0; done < bytes.length; ) done += fs.writeSync(out, bytes, done, bytes.length - done, offset + done)
}
