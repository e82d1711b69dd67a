import fs from 'node:fs'
import path from 'node:path'
import { corrupt, Fault, missing, refused, unreadable, unsupported, within } from './fault.js'

// Folder is a repository's objects in a folder: a file store, or a copy of a
// bucket. Names are with slashes, as in docs/format.md, "Objects".
export class Folder {
  constructor(root) {
    if (!fs.existsSync(path.join(root, 'repo.json'))) throw refused(`there is no repository in ${root}: it has no repo.json; say the folder with --repository`)
    this.root = root
  }

  // read returns a whole object of at most max bytes.
  read(name, max) {
    return this.#open(name, (file, size) => {
      if (size > max) throw unsupported(`it has ${size} bytes, more than the ${max} that this reader takes`)
      return readFully(file, 0, size)
    })
  }

  // range returns length bytes from offset on; what is not there is corrupt.
  // Nothing is allocated for a length that the object does not have.
  range(name, offset, length) {
    return this.#open(name, (file, size) => {
      if (offset + length > size) throw corrupt(`it ends before byte ${offset + length}`)
      return readFully(file, offset, length)
    })
  }

  size = (name) => this.#open(name, (_, size) => size)
  has = (name) => fs.existsSync(path.join(this.root, name))

  // list returns the names of all objects below a prefix, sorted. Files whose
  // names begin with a dot are the store's own.
  list(prefix) {
    const names = []
    const walk = (name) => {
      if (!this.has(name)) return
      for (const entry of fs.readdirSync(path.join(this.root, name), { withFileTypes: true })) {
        if (entry.name.startsWith('.')) continue
        if (entry.isDirectory()) walk(`${name}/${entry.name}`)
        else names.push(`${name}/${entry.name}`)
      }
    }
    walk(prefix)
    return names.sort()
  }

  #open(name, work) {
    return within(name, () => {
      let file
      try {
        file = fs.openSync(path.join(this.root, name), 'r')
        return work(file, fs.fstatSync(file).size)
      } catch (err) {
        if (err instanceof Fault) throw err
        throw err.code === 'ENOENT' ? missing('it is not there') : unreadable(err.message)
      } finally {
        if (file !== undefined) fs.closeSync(file)
      }
    })
  }
}

function readFully(file, offset, length) {
  const bytes = Buffer.alloc(length)
  for (let done = 0; done < length; ) {
    const n = fs.readSync(file, bytes, done, length - done, offset + done)
    if (n === 0) throw corrupt(`it ends before byte ${offset + length}`)
    done += n
  }
  return bytes
}
