// Lies beside ivd-reader.js while it runs.
//
// Flips a bit of the objects of a repository in memory, here and there, one at
// a time, and has the reader verify and read every disk: each flip must be
// found, as a fault of a known kind, and no disk may ever be read otherwise than
// it was. Called with the repository, the file of the passphrase or "", and how
// many bytes of each object are flipped.
import fs from 'node:fs'
import { createHash } from 'node:crypto'
import { Fault, corrupt, missing } from './lib/fault.js'
import { Folder } from './lib/folder.js'
import { listPoints, readPoint } from './lib/point.js'
import { openRepository } from './lib/repository.js'
import { readDisk } from './lib/restore.js'
import { passphrase } from './lib/slots.js'
import { verify } from './lib/verify.js'

const [root, secretFile, count] = process.argv.slice(2)
const folder = new Folder(root)
const objects = new Map()
for (const prefix of ['data', 'index', 'keys', 'points', 'writers']) {
  for (const name of folder.list(prefix)) objects.set(name, folder.read(name, 1 << 28))
}
for (const name of ['repo.json', 'repo.sig']) if (folder.has(name)) objects.set(name, folder.read(name, 1 << 20))

// Memory has the calls of a Folder.
const memory = {
  get: (name) => objects.get(name) ?? fail(missing(`${name}: it is not there`)),
  read: (name) => memory.get(name),
  range(name, offset, length) {
    if (offset + length > memory.size(name)) throw corrupt(`${name}: it ends before byte ${offset + length}`)
    return Buffer.from(memory.get(name).subarray(offset, offset + length))
  },
  size: (name) => memory.get(name).length,
  has: (name) => objects.has(name),
  list: (prefix) => [...objects.keys()].filter((name) => name.startsWith(prefix + '/')).sort(),
}

function fail(err) {
  throw err
}

const secret = () => passphrase(fs.readFileSync(secretFile, 'utf8').trim())

function open() {
  return openRepository(memory, secret)
}

// disks reads every disk: the Sum of what it gave, or the fault.
function disks(repository) {
  return listPoints(repository).map((listed) => {
    const hash = createHash('sha256')
    try {
      const point = readPoint(repository, listed)
      hash.update(`${point.capacity} `)
      readDisk(repository, point, (bytes, offset) => hash.update(`${offset} ${bytes.length} `).update(bytes))
      return `${listed.name} ${hash.digest('hex')}`
    } catch (err) {
      return known(err)
    }
  })
}

function known(err) {
  if (!(err instanceof Fault) || err.message.includes('\n')) throw err
  return err
}

// found reports whether opening or verifying found a fault; it reads the disks too.
function found(reopen, repository, want) {
  const faults = []
  try {
    const r = reopen ? open() : repository
    verify(r, (fault) => faults.push(known(fault)))
    for (const got of disks(r)) if (typeof got === 'string' && !want.includes(got)) throw new Error(`read otherwise: ${got}`)
  } catch (err) {
    faults.push(known(err))
  }
  return faults.length > 0
}

// places are those of the bytes to flip: evenly from the first on, and the
// last, which is a record's signature's.
function places(length) {
  const step = Math.max(1, length / Number(count))
  const list = [length - 1]
  for (let at = 0; at < length - 1; at += step) list.push(Math.floor(at))
  return list
}

const repository = open()
const want = disks(repository)
if (want.length === 0 || want.some((d) => typeof d !== 'string')) throw new Error(`not in order before anything is flipped: ${want}`)
let [flips, failures] = [0, 0]
for (const [name, body] of objects) {
  const plain = !objects.has('repo.sig')
  if (plain && name.startsWith('writers/')) continue // nothing depends on it
  const reopen = name.startsWith('repo.') || name.startsWith('keys/')
  for (const i of places(body.length)) {
    const bit = 1 << (flips++ % 8)
    body[i] ^= bit
    try {
      if (!found(reopen, repository, want) && !(plain && name === 'repo.json')) throw new Error('it is not found')
    } catch (err) {
      console.error(`${name}, byte ${i}, bit ${bit}: ${err.stack}`)
      failures++
    }
    body[i] ^= bit
  }
}
console.log(`${flips} flips, ${failures} failures`)
process.exitCode = failures > 0 ? 1 : 0
