// What is wrong, in the two kinds that docs/format.md, "Unknown is not damage",
// tells apart, and what is wrong with a call. Each is one line.

export class Fault extends Error {
  constructor(kind, message) {
    super(message)
    this.kind = kind
  }
}

// corrupt: what was read is not what was written.
export const corrupt = (message) => new Fault('corrupt', message)

// unsupported: a value, a version or a size that this reader does not know.
export const unsupported = (message) => new Fault('unsupported', message)

// missing: an object that is needed is not in the folder.
export const missing = (message) => new Fault('missing', message)

// unreadable: the system does not give an object.
export const unreadable = (message) => new Fault('unreadable', message)

// refused: what was asked for cannot be done; the message says the remedy.
export const refused = (message) => new Fault('refused', message)

// within puts the name of the object in front of what is wrong with it, or with
// what it needs.
export function within(name, work) {
  try {
    return work()
  } catch (err) {
    if (err instanceof Fault && !err.message.startsWith(`${name}: `)) err.message = `${name}: ${err.message}`
    throw err
  }
}
