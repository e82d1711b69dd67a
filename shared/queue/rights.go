package queue

import "strings"

// Rights are the subjects that a user of the server needs, with NATS' wildcards.
type Rights struct {
	Publish, Subscribe []string
	// Respond: to answer what comes in on a subscription, as often as it takes.
	Respond bool
}

// MoverRights are the least that a mover of this name works with: it takes jobs, reads
// and writes their records, sends its heartbeat and its parts', tells progress, asks for
// logins and keys in its own name, and answers requests to it and its parts. It publishes no job,
// and reads nothing of runs and of the ledger. A coordinator needs everything.
func MoverRights(name string) Rights {
	m := token(name)
	jobs, records, beats := jobStream, "KV_"+recordBucket, "KV_"+moverBucket
	beat := "$KV." + moverBucket + "." + m
	return Rights{
		Publish: []string{
			"$JS.API.CONSUMER.INFO." + jobs + ".*",
			"$JS.API.CONSUMER.MSG.NEXT." + jobs + ".*",
			"$JS.ACK." + jobs + ".>",
			"$JS.API.STREAM.INFO." + records,
			"$JS.API.DIRECT.GET." + records + ".>",
			"$KV." + recordBucket + ".>",
			"$JS.API.STREAM.INFO." + beats,
			"$JS.API.DIRECT.GET." + beats + "." + beat,
			"$JS.API.DIRECT.GET." + beats + "." + beat + ".*",
			beat, beat + ".*",
			"ivd.login.*." + m,
			"ivd.keys.*.*." + m,
			examineSubject(name),
			progressSubject("*", name),
		},
		Subscribe: []string{inbox(name) + ".>", moverSubject(name), moverSubject(PartName(name, "*"))},
		Respond:   true,
	}
}

// inbox is where answers to a mover come: nobody else may listen there.
func inbox(mover string) string { return "ivd.inbox." + token(moverOf(mover)) }

// clientName is what a mover's connection is called on the server, and its parts'.
func clientName(mover string) string { return moverClient + moverOf(mover) }

const moverClient = "ivd-mover "

// IsMover reports whether a mover may have that name.
func IsMover(name string) bool {
	return !strings.Contains(name, partSeparator) && checkMover(name) == nil
}

// MoverOf is the mover whose connection has this name. Not ok: no mover's has.
func MoverOf(client string) (mover string, ok bool) {
	mover, ok = strings.CutPrefix(client, moverClient)
	return mover, ok && IsMover(mover)
}
