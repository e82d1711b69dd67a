package queue

import (
	"context"

	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
)

// Beat tells that a mover lives. It is forgotten 60 s after its last one.
func (q *Queue) Beat(ctx context.Context, m job.Mover) error {
	if err := checkMover(m.Name); err != nil {
		return err
	}
	if m.Version < 1 || m.Version > job.Version {
		return ivd.Errorf(ivd.Invalid, "heartbeat of mover %s: version %d, this program writes %d", m.Name, m.Version, job.Version)
	}
	_, err := q.movers.Put(ctx, heartbeatKey(m.Name), m)
	return err
}

// Leave withdraws a mover's heartbeat when it ends in order.
func (q *Queue) Leave(ctx context.Context, name string) error {
	if err := checkMover(name); err != nil {
		return err
	}
	return q.movers.Delete(ctx, heartbeatKey(name))
}

// Movers are the movers whose heartbeat is at most 60 s old by the server's clock,
// by name; doctors, who take no work, are none. Whether one has stopped since, the
// observer sees from its Beat. Unread are those whose heartbeat cannot be read, such as
// a mover's that is newer than this program, each by its name with why.
func (q *Queue) Movers(ctx context.Context) (movers []job.Mover, unread map[string]error, err error) {
	entries, err := q.movers.List(ctx, "")
	if err != nil {
		return nil, nil, err
	}
	movers, unread = make([]job.Mover, 0, len(entries)), map[string]error{}
	for _, e := range entries {
		m, err := decodeMover(e)
		if err != nil {
			unread[e.Key] = err
		} else if !m.Doctor {
			movers = append(movers, m)
		}
	}
	return movers, unread, nil
}

// StandingMovers mirrors what Movers lists; what cannot be read is logged.
func (q *Queue) StandingMovers() *Mirror[job.Mover] { return NewMirror(q.movers, "", q.workingMover) }

func (q *Queue) workingMover(e Entry) (m job.Mover, ok bool) {
	m, err := decodeMover(e)
	if err != nil {
		q.log.Warn("heartbeat left out", "mover", e.Key, "error", err)
		return m, false
	}
	return m, !m.Doctor
}

// Mover is the heartbeat of one mover or doctor. Kind NotFound: it has none, or
// none that is at most 60 s old.
func (q *Queue) Mover(ctx context.Context, name string) (job.Mover, error) {
	if err := checkMover(name); err != nil {
		return job.Mover{}, err
	}
	e, err := q.movers.get(ctx, heartbeatKey(name))
	if err != nil {
		return job.Mover{}, err
	}
	return decodeMover(e)
}

func decodeMover(e Entry) (job.Mover, error) {
	var m job.Mover
	if err := decode("heartbeat of mover "+e.Key, e.Value, &m); err != nil {
		return job.Mover{}, err
	}
	if checkMover(m.Name) != nil || heartbeatKey(m.Name) != e.Key {
		return job.Mover{}, ivd.Errorf(ivd.Corrupt, "heartbeat of mover %s: it names %q", e.Key, m.Name)
	}
	return m, nil
}
