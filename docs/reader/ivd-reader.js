#!/usr/bin/env node
import fs from 'node:fs'
import { parseArgs } from 'node:util'
import { Fault, refused } from './lib/fault.js'
import { Folder } from './lib/folder.js'
import { describe, findPoint, listPoints, readPoint } from './lib/point.js'
import { openRepository } from './lib/repository.js'
import { restore } from './lib/restore.js'
import { keyFile, passphrase, recoverySheet } from './lib/slots.js'
import { verify } from './lib/verify.js'

const help = `Reads an ivdmover repository without ivdmover. Written from docs/format.md.

Usage:
  ivd-reader.js [OPTIONS] points               list the restore points
  ivd-reader.js [OPTIONS] verify               read all packs and points, and check them
  ivd-reader.js [OPTIONS] restore POINT FILE   write a point's disk into a new file

POINT is the id or the long name that "points" lists. It only reads the
repository, and takes no lease: see to it that nobody collects from it meanwhile.

Options:
  --repository DIR        the folder of the repository, or with a copy of its bucket (.)
  --passphrase-file FILE  opens an encrypted repository with the passphrase in FILE
  --key-file FILE         opens it with a key file
  --recovery-sheet FILE   opens it with the four lines of a recovery sheet
  --help                  this text

Exit status: 0 done; 1 something is damaged, missing or cannot be done;
2 the call is wrong; 3 something is of a version or kind that is not known here.

Examples:
  ivd-reader.js --repository /mnt/bucket points
  ivd-reader.js --repository /mnt/bucket --passphrase-file secret verify
  ivd-reader.js --repository /mnt/bucket --key-file key.json restore 5b56a2d4 disk.raw
`

const options = {
  repository: { type: 'string', default: '.' },
  'passphrase-file': { type: 'string' },
  'key-file': { type: 'string' },
  'recovery-sheet': { type: 'string' },
  help: { type: 'boolean', short: 'h' },
}

// usage is what is wrong with a call.
class Usage extends Error {}

const commands = {
  points: { arguments: 0, run: points },
  verify: { arguments: 0, run: check },
  restore: { arguments: 2, run: restoreFile },
}

function main(args) {
  const { values, positionals } = parse(args)
  const [name, ...rest] = positionals
  if (values.help || name === undefined) {
    process.stdout.write(help)
    return name === undefined && !values.help ? 2 : 0
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!command) throw new Usage(`there is no command ${quoted(name)}; --help lists them`)
  if (rest.length !== command.arguments) throw new Usage(`${name} takes ${command.arguments} arguments, not ${rest.length}; --help shows how`)
  const repository = openRepository(new Folder(values.repository), (config) => secret(values, config))
  return command.run(repository, ...rest)
}

function parse(args) {
  try {
    return parseArgs({ args, options, allowPositionals: true })
  } catch (err) {
    throw new Usage(err.message)
  }
}

// secret reads what opens an encrypted repository.
function secret(values, config) {
  const given = ['passphrase-file', 'key-file', 'recovery-sheet'].filter((o) => values[o] !== undefined)
  if (given.length !== 1) throw refused('the repository is encrypted: give one of --passphrase-file, --key-file and --recovery-sheet')
  const bytes = fs.readFileSync(values[given[0]])
  if (given[0] === 'key-file') return keyFile(bytes, config)
  if (given[0] === 'recovery-sheet') return recoverySheet(bytes.toString())
  return passphrase(bytes.toString().replace(/\r?\n$/, ''))
}

function points(repository) {
  let status = 0
  const rows = [['POINT', 'TIME', 'BYTES', 'DISK', 'LONG NAME', 'NOTE']]
  for (const listed of listPoints(repository)) {
    const point = describe(repository, listed)
    if (point.fault) status = statusOf(point.fault)
    const at = point.at?.toISOString() ?? point.time
    rows.push([point.short, at, String(point.capacity ?? '?'), quoted(point.diskName ?? ''), point.name, point.notes.map(quotedUnlessPlain).join('; ')])
  }
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
  for (const row of rows) console.log(row.map((cell, column) => cell.padEnd(widths[column])).join('  ').trimEnd())
  return status
}

function check(repository) {
  const faults = []
  const counts = verify(repository, (fault) => {
    faults.push(fault)
    complain(fault)
  })
  console.log(`in order: ${counts.packs} packs with ${counts.frames} frames, ${counts.points} points; faults: ${faults.length}`)
  return faults.length === 0 ? 0 : Math.min(...faults.map(statusOf))
}

function restoreFile(repository, wanted, file) {
  const point = readPoint(repository, findPoint(repository, wanted))
  const written = restore(repository, point, file)
  console.log(`restored ${point.name} into ${file}: ${point.capacity} bytes, of which ${written} are not zeros`)
  return 0
}

// quoted makes text from elsewhere harmless to a terminal, and one line.
const quoted = (text) => JSON.stringify(text).replace(/[\u007f-\u009f\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
const quotedUnlessPlain = (text) => (/[^ -~]/.test(text) ? quoted(text) : text)

const statusOf = (err) => (err instanceof Usage ? 2 : err.kind === 'unsupported' ? 3 : 1)
const complain = (err) => console.error(`ivd-reader: ${quotedUnlessPlain(err.kind ? `${err.kind}: ${err.message}` : err.message)}`)

try {
  process.exitCode = main(process.argv.slice(2))
} catch (err) {
  complain(err)
  process.exitCode = statusOf(err)
}
