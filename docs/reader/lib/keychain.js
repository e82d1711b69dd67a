import { corrupt, Fault, refused, unsupported, within } from './fault.js'
import * as json from './json.js'
import * as record from './record.js'
import { openSlot } from './slots.js'
import { keyID, keyedSum, sum, unseal } from './sums.js'

// The keys of a repository: docs/format.md, "Encryption" and "Keys".

const roles = ['commit', 'retain', 'collect', 'verify']

// plainKeys are those of a repository that is not encrypted: none.
export const plainKeys = { encrypted: false, contentID: (_, bytes) => sum(bytes) }

// openKeys opens an encrypted repository: a slot with the secret, then with
// the root key repo.sig and the ring, then with the master key the ring's secrets.
export function openKeys(folder, config, configBytes, secret) {
  const { master, root } = findSlot(folder, config, secret)
  within('repo.sig', () => checkSigned(folder, config, configBytes, root))
  return within('keys/ring', () => openRing(folder, config, root, master))
}

function findSlot(folder, config, secret) {
  const names = folder.list('keys').filter((name) => /^keys\/slot-[1-9][0-9]*$/.test(name))
  const faults = []
  for (const name of names) {
    try {
      const keys = within(name, () => trySlot(folder, config, name, secret))
      if (keys) return keys
    } catch (err) {
      if (!(err instanceof Fault)) throw err
      faults.push(err)
    }
  }
  const damaged = faults.length > 0 ? `; of the slots that cannot be read the first is ${faults[0].message}` : ''
  throw refused(`no slot of kind ${secret.kind} opens with the secret that was given${damaged}`)
}

function trySlot(folder, config, name, secret) {
  const slot = record.parse(folder.read(name, record.maxRecord), 'IVDKEYSL', true)
  const keys = openSlot(clearBody(slot, config, name), secret, [config.id, config.domain, name])
  if (!keys) return undefined
  if (keys.root.id !== config.root) throw corrupt('it holds another root key than repo.json names')
  record.checkSigner(slot, keys.root.id, keys.root.public)
  return keys
}

// checkSigned refuses a repo.json that is none of the states that the root key has signed.
function checkSigned(folder, config, configBytes, root) {
  const sig = record.parse(folder.read('repo.sig', record.maxRecord), 'IVDRSIGN', true)
  record.checkSigner(sig, root.id, root.public)
  const states = json.array(clearBody(sig, config, 'repo.sig'), 'states')
  const is = sum(configBytes).toString('hex')
  const signed = (s) => json.number(s, 'generation') === config.generation && json.hex(s, 'sum', 32) === is
  if (!states.some(signed)) throw corrupt('repo.json is none of the states that the root key has signed')
}

function openRing(folder, config, root, master) {
  const name = 'keys/ring'
  const ring = record.parse(folder.read(name, record.maxRecord), 'IVDRING', true)
  record.checkSigner(ring, root.id, root.public)
  const body = clearBody(ring, config, name)
  if (!json.base64(body, 'root', 32).equals(root.public)) throw corrupt('it names another root key')
  const beside = `ivdmover 2026 format 1: secrets of the ring "${config.id}" "${name}" ${json.number(body, 'generation', 1)}`
  const secrets = json.parse(unseal(master, json.base64(body, 'nonce', 12), json.base64(body, 'secrets'), Buffer.from(beside)))
  const domains = readDomains(body, secrets)
  return {
    encrypted: true,
    signers: readSigners(body),
    domain: (id) => domains.get(id) ?? fail(unsupported(`the ring has no keys of domain ${id}`)),
    contentID: (domain, bytes) => keyedSum(domains.get(domain).content, bytes),
  }
}

function readSigners(body) {
  const signers = new Map()
  for (const s of json.array(body, 'signers')) {
    const signer = { public: json.base64(s, 'public', 32), roles: json.array(s, 'roles') }
    const id = json.hex(s, 'id', 16)
    if (keyID(signer.public) !== id) throw corrupt(`signer ${id} is another key than it says`)
    const role = signer.roles.find((r) => !roles.includes(r))
    if (role !== undefined) throw unsupported(`the role ${JSON.stringify(role)} of signer ${id} is not known`)
    signers.set(id, signer)
  }
  return signers
}

// readDomains joins what the ring says of each domain with its secrets.
function readDomains(body, secrets) {
  const domains = new Map()
  for (const open of json.array(body, 'domains')) {
    const id = json.uuid(open, 'domain')
    const secret = json.array(secrets, 'domains').find((s) => s.domain === id)
    if (!secret) throw corrupt(`it has no secrets of domain ${id}`)
    domains.set(id, {
      content: json.base64(secret, 'content', 32),
      metadata: named(open, secret, 'metadata'),
      record: named(open, secret, 'record'),
      data: new Map(json.array(secret, 'data').map((d) => [json.hex(d, 'id', 16), json.base64(d, 'private', 32)])),
    })
  }
  return domains
}

function named(open, secret, key) {
  const bytes = json.base64(secret, key, 32)
  const id = json.hex(open, key, 16)
  if (keyID(bytes) !== id) throw corrupt(`its ${key} key has another id than it says`)
  return { id, key: bytes }
}

// clearBody reads the body of one of the records that are signed and not sealed.
function clearBody(parsed, config, name) {
  if (parsed.cipher !== 0) throw corrupt('it is sealed, and has to be in the clear')
  return record.body(parsed.body, config.id, config.domain, name)
}

function fail(err) {
  throw err
}
