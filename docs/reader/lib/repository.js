import { corrupt, unsupported, within } from './fault.js'
import * as json from './json.js'
import { openKeys, plainKeys } from './keychain.js'
import * as record from './record.js'

const maxConfig = 1 << 20

// openRepository reads repo.json, and in an encrypted repository its keys.
// secretOf is called for the secret that opens a slot, given repo.json.
// It takes no lease: docs/format.md, "Reading without writing".
export function openRepository(folder, secretOf) {
  const bytes = folder.read('repo.json', maxConfig)
  const config = within('repo.json', () => readConfig(bytes))
  const encrypted = config.cipher !== 'none'
  const keys = encrypted ? openKeys(folder, config, bytes, secretOf(config)) : plainKeys
  return new Repository(folder, config, keys)
}

class Repository {
  constructor(folder, config, keys) {
    this.folder = folder
    this.id = config.id
    this.keys = keys
  }

  // point and writer read such a record by its full name, and return its body.
  point = (name) => this.#record(name, 'IVDPOINT', 'record')
  writer = (name) => this.#record(name, 'IVDWRITR', 'metadata')

  #record(name, kind, keyName) {
    return within(name, () => {
      const parsed = record.parse(this.folder.read(name, record.maxRecord), kind, this.keys.encrypted)
      const domain = name.split('/')[1]
      if (!this.keys.encrypted) return record.body(parsed.body, this.id, domain, name)
      record.checkRole(parsed, this.keys.signers, 'commit')
      const { id, key } = this.keys.domain(domain)[keyName]
      return record.body(record.open(parsed, id, key), this.id, domain, name)
    })
  }
}

// readConfig: docs/format.md, "repo.json". The version comes first, then the
// words that a reader has to know, then the rest.
function readConfig(bytes) {
  const config = json.parse(bytes)
  if (json.number(config, 'version') !== 1) throw unsupported(`the repository is of version ${config.version}; this reader knows version 1`)
  const words = json.array(json.object(config, 'features'), 'read')
  if (words.length > 0) throw unsupported(`reading needs ${JSON.stringify(words.join(', '))}, which this reader does not know`)
  json.uuid(config, 'id')
  json.uuid(config, 'domain')
  json.number(config, 'generation', 1)
  const pack = json.number(config, 'pack_size')
  if (pack < 16 << 20 || pack > 256 << 20) throw unsupported(`a pack size of ${pack} is not known`)
  checkCipher(config)
  return config
}

function checkCipher(config) {
  const hash = { none: 'blake3-256', 'aes-256-gcm': 'blake3-256-keyed' }[json.string(config, 'cipher')]
  if (!hash) throw unsupported(`cipher ${JSON.stringify(config.cipher)} is not known`)
  if (!['blake3-256', 'blake3-256-keyed'].includes(json.string(config, 'hash'))) throw unsupported(`hash ${JSON.stringify(config.hash)} is not known`)
  if (config.hash !== hash) throw corrupt(`the hash ${config.hash} does not go with the cipher ${config.cipher}`)
  if (config.cipher !== 'none') json.hex(config, 'root', 16)
  else if (config.root !== undefined) throw corrupt('a plain repository has a root key')
}
