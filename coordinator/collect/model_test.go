package collect_test

// A model of writing and collecting without a lock: the rules, and small worlds. Its
// states are searched breadth first (search_test.go). An actor that dies is one that makes
// no further step, one that is late makes it late.

// rules are COLLECT.md's rules that the model knows; each can be switched off.
type rules struct {
	leaseFirst   bool // W1: the lease is opened before the first decision
	listsAfter   bool // W2: the condemned lists are read after that
	checkLists   bool // W3: what is remembered must be on no list
	checkParent  bool // W4: so must what the parent's tree names
	margin       bool // W6: the lease is looked at after the request was made, with a margin
	bounded      bool // G3: the store refuses requests that are too old
	ownEnd       bool // W7: a lease is ended only when the commit's outcome is known
	freshNames   bool // G1: a pack's name is never used twice
	onlyMarks    bool // P1: who gives up a point only marks it
	readerLists  bool // R1: a reader takes no point that is on a list
	publishOnce  bool // C2: one creation publishes a list
	waitAfter    bool // C3: the leases are listed after the list is published
	relist       bool // C4: the points are listed again before anything is deleted
	pointsFirst  bool // C4: points are deleted before packs
	keepLists    bool // C5: a list outlives its work
	takeOver     bool // C6: anyone goes on with a list
	forgottenAre bool // C4: points that were given up, and are not on the list, are roots
}

var allRules = rules{true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true}

// size is how large a world is.
type size struct{ writers, readers, collectors, forgets int }

const (
	maxPacks, maxPoints, maxLists, maxActors, maxCollectors = 5, 4, 3, 2, 3

	present, removed = 1, 2 // states of objects; 0: never there

	early, inMargin, past = 0, 1, 2 // of a lease
)

type (
	modelPoint struct{ st, pack, forgotten uint8 }
	modelList  struct{ st, packs, points uint8 }
	modelLease struct{ st, phase uint8 }
)

// modelActor is a writer or a reader under one lease.
type modelActor struct{ pc, snap, packs, points, pack, signed uint8 }

// modelCollector is one collection, or the taking over of a list.
type modelCollector struct{ pc, list, snap, packs, points, wait uint8 }

// modelState is all that can differ.
type modelState struct {
	pack    [maxPacks]uint8
	point   [maxPoints]modelPoint
	list    [maxLists]modelList
	lease   [maxActors]modelLease
	actor   [maxActors]modelActor
	coll    [maxCollectors]modelCollector
	forgets uint8
}

type model struct {
	rules
	size
}

func bit(i int) uint8 { return 1 << i }

// initial: pack 0 is named by point 0, nobody names pack 1.
func (m model) initial() modelState {
	var s modelState
	s.pack[0], s.pack[1] = present, present
	s.point[0] = modelPoint{st: present}
	s.forgets = uint8(m.forgets)
	return s
}

func (s *modelState) packs() (v uint8) {
	for i, p := range s.pack {
		if p == present {
			v |= bit(i)
		}
	}
	return v
}

func (s *modelState) points(also func(modelPoint) bool) (v uint8) {
	for i, p := range s.point {
		if p.st == present && also(p) {
			v |= bit(i)
		}
	}
	return v
}

func anyPoint(modelPoint) bool { return true }

func (s *modelState) lists() (v uint8) {
	for i, l := range s.list {
		if l.st == present {
			v |= bit(i)
		}
	}
	return v
}

// named are the packs that points name.
func (s *modelState) named(points uint8) (v uint8) {
	for i, p := range s.point {
		if points&bit(i) != 0 {
			v |= bit(int(p.pack))
		}
	}
	return v
}

// listed calls f with everything that a listing may show that began with a and ended
// with b: it is no moment.
func listed(a, b uint8, f func(uint8)) {
	d := a ^ b
	for sub := d; ; sub = (sub - 1) & d {
		f(a&b | sub)
		if sub == 0 {
			return
		}
	}
}

// broken says what must not be, or nothing.
func (m model) broken(s *modelState) string {
	for _, p := range s.point {
		if p.st == present && s.pack[p.pack] != present {
			return "a committed point names a pack that is gone"
		}
	}
	for i := m.writers; i < m.writers+m.readers; i++ {
		if s.actor[i].pc == 4 && s.lease[i].phase < past && s.pack[s.actor[i].pack] != present {
			return "a reader whose lease stands loses what it reads"
		}
	}
	return ""
}

// steps calls f with every state that follows.
func (m model) steps(s *modelState, f func(modelState)) {
	for i := range m.writers + m.readers { // the store's clock
		if l := s.lease[i]; l.phase < past && (l.st == present || l.st == removed && s.actor[i].pc == 5) {
			n := *s
			n.lease[i].phase++
			f(n)
		}
	}
	if s.forgets > 0 {
		for i, p := range s.point {
			if p.st != present || p.forgotten == 1 {
				continue
			}
			n := *s
			n.forgets--
			if m.onlyMarks {
				n.point[i].forgotten = 1
			} else {
				n.point[i].st = removed
			}
			f(n)
		}
	}
	for i := range m.writers + m.readers {
		if s.actor[i].pc == 0 && i > 0 && i != m.writers && s.actor[i-1].pc == 0 {
			continue // those that are alike begin in order
		}
		m.act(s, i, f)
	}
	for i := range m.collectors {
		if s.coll[i].pc == 0 && i > 0 && s.coll[i-1].pc == 0 {
			continue
		}
		m.collect(s, i, f)
	}
}

// act are the steps of a writer or a reader: 0 nothing, 1 lease opened, 2 listing the
// lists, 3 lists read, 4 decided (or reading), 5 commit sent, 6 answered, 7 lists read
// without a lease, 8 decided without one, 9 ended.
func (m model) act(s *modelState, i int, f func(modelState)) {
	n := *s
	a := &n.actor[i]
	open := func() { n.lease[i].st = present }
	switch s.actor[i].pc {
	case 0:
		if m.leaseFirst && m.listsAfter {
			open()
			a.pc = 1
		} else {
			a.pc, a.snap = 2, s.lists()
		}
		f(n)
	case 1:
		a.pc, a.snap = 2, s.lists()
		f(n)
	case 2:
		listed(s.actor[i].snap, s.lists(), func(l uint8) {
			n := *s
			a := &n.actor[i]
			for k, x := range s.list {
				if l&bit(k) != 0 {
					a.packs |= x.packs
					a.points |= x.points
				}
			}
			a.snap, a.pc = 0, 3
			if s.lease[i].st == 0 && m.leaseFirst {
				a.pc = 7
			}
			f(n)
		})
	case 7:
		open()
		a.pc = 3
		f(n)
	case 3:
		m.decide(s, i, f)
	case 8:
		open()
		a.pc = 4
		f(n)
	case 4:
		m.use(s, i, f)
	case 5:
		m.land(s, i, f)
	case 6:
		m.end(&n, i)
		f(n)
	}
}

func (m model) end(n *modelState, i int) {
	if n.lease[i].st == present {
		n.lease[i] = modelLease{st: removed}
	}
	n.actor[i] = modelActor{pc: 9}
}

// decide: the parent's pack, one that is remembered, or a new one.
func (m model) decide(s *modelState, i int, f func(modelState)) {
	a := s.actor[i]
	reader := i >= m.writers
	take := func(n modelState, pack int) {
		n.actor[i] = modelActor{pc: 4, pack: uint8(pack)}
		if s.lease[i].st == 0 {
			n.actor[i].pc = 8
		}
		f(n)
	}
	for k, p := range s.point {
		switch {
		case p.st != present:
		case reader && m.readerLists && a.points&bit(k) != 0:
		case !reader && m.checkParent && a.packs&bit(int(p.pack)) != 0:
		default:
			take(*s, int(p.pack))
		}
	}
	if reader {
		return
	}
	for k, st := range s.pack { // it was there once, and is on no list
		if st != 0 && !(m.checkLists && a.packs&bit(k) != 0) {
			take(*s, k)
		}
	}
	if !m.freshNames { // the name of the content: told "it is there", or stored again
		n := *s
		n.pack[1] = present
		take(n, 1)
	}
	for k, st := range s.pack {
		if st == 0 {
			n := *s
			n.pack[k] = present
			take(n, k)
			break
		}
	}
}

// use: a reader ends, a writer looks at its lease and sends its commit.
func (m model) use(s *modelState, i int, f func(modelState)) {
	n := *s
	l := s.lease[i]
	switch {
	case i >= m.writers, l.st != present, l.phase == past, l.phase == inMargin && m.margin:
		m.end(&n, i)
	default:
		n.actor[i].pc, n.actor[i].signed = 5, l.phase
	}
	f(n)
}

// land: the commit reaches the store, or is refused for its age, or its sender thinks that
// it failed.
func (m model) land(s *modelState, i int, f func(modelState)) {
	n := *s
	if m.bounded && s.lease[i].phase > s.actor[i].signed+1 {
		m.end(&n, i)
		f(n)
		return
	}
	for k, p := range s.point {
		if p.st == 0 {
			n.point[k] = modelPoint{st: present, pack: s.actor[i].pack}
			n.actor[i] = modelActor{pc: 6}
			f(n)
			break
		}
	}
	if !m.ownEnd && s.lease[i].st == present {
		n := *s
		n.lease[i].st = removed
		f(n)
	}
}

// standing are the leases that stand.
func (m model) standing(s *modelState) (v uint8) {
	for i, l := range s.lease {
		if l.st == present && l.phase < past {
			v |= bit(i)
		}
	}
	return v
}

// collect are the steps of a collector: 0 nothing, 1 listing the points, 2 marked, 3 list
// published, 4 waiting, 5 listing the points again, 6 deleting, 7 publishing the second
// part, 9 ended.
func (m model) collect(s *modelState, i int, f func(modelState)) {
	n := *s
	c := &n.coll[i]
	switch s.coll[i].pc {
	case 0:
		if m.takeOver {
			for k, l := range s.list {
				if l.st == present {
					n := *s
					n.coll[i] = modelCollector{pc: 3, list: uint8(k)}
					f(n)
				}
			}
		}
		c.pc, c.snap = 1, s.points(anyPoint)
		f(n)
	case 1:
		listed(s.coll[i].snap, s.points(anyPoint), func(shown uint8) {
			n := *s
			dead := shown & s.points(func(p modelPoint) bool { return p.forgotten == 1 })
			n.coll[i] = modelCollector{pc: 2, packs: s.named(shown &^ dead), points: dead}
			if !m.waitAfter {
				n.coll[i].wait = m.standing(s)
			}
			f(n)
		})
	case 2:
		m.publish(s, i, f)
	case 7:
		n.list[c.list].packs |= c.packs
		*c = modelCollector{pc: 3, list: c.list, wait: c.wait}
		f(n)
	case 3:
		c.pc = 4
		if m.waitAfter {
			c.wait = m.standing(s)
		}
		f(n)
	case 4:
		if s.coll[i].wait&m.standing(s) == 0 {
			*c = modelCollector{pc: 5, list: c.list, snap: s.points(anyPoint)}
			f(n)
		}
	case 5:
		listed(s.coll[i].snap, s.points(anyPoint), func(shown uint8) {
			n := *s
			n.coll[i] = m.spare(s, int(s.coll[i].list), shown)
			f(n)
		})
	case 6:
		m.remove(s, i, f)
	}
}

// publish publishes what is there and not marked.
func (m model) publish(s *modelState, i int, f func(modelState)) {
	n := *s
	c := &n.coll[i]
	packs, points := s.packs()&^c.packs, c.points&s.points(anyPoint)
	if packs|points == 0 {
		*c = modelCollector{pc: 9}
		f(n)
		return
	}
	for k, l := range s.list {
		if l.st != 0 {
			continue
		}
		n.list[k] = modelList{st: present, packs: packs, points: points}
		*c = modelCollector{pc: 3, list: uint8(k), wait: c.wait}
		if !m.publishOnce { // a writer that reads now reads half of it, and its collector waits already
			n.list[k].packs = 0
			c.pc, c.packs, c.wait = 7, packs, m.standing(s)
		}
		f(n)
		return
	}
}

// spare is what a collector deletes of a list, as the points are listed.
func (m model) spare(s *modelState, list int, shown uint8) modelCollector {
	l := s.list[list]
	roots := shown &^ l.points
	if !m.forgottenAre {
		roots &^= s.points(func(p modelPoint) bool { return p.forgotten == 1 })
	}
	packs := l.packs
	if m.relist {
		packs &^= s.named(roots)
	}
	return modelCollector{pc: 6, list: uint8(list), packs: packs, points: l.points}
}

// remove deletes one object, or ends.
func (m model) remove(s *modelState, i int, f func(modelState)) {
	n := *s
	c := &n.coll[i]
	for k, p := range s.point {
		if c.points&bit(k) != 0 && (m.pointsFirst || c.packs == 0) {
			if p.st == present {
				n.point[k].st = removed
			}
			c.points &^= bit(k)
			f(n)
			return
		}
	}
	for k := range s.pack {
		if c.packs&bit(k) != 0 {
			n.pack[k] = removed
			c.packs &^= bit(k)
			f(n)
			return
		}
	}
	if !m.keepLists {
		n.list[c.list].st = removed
	}
	*c = modelCollector{pc: 9}
	f(n)
}

// left lets every host die and every deadline pass, has one fresh collector work twice,
// and says what stays for ever; nothing where nothing does.
func (m model) left(s modelState) string {
	work := func(c modelCollector) {
		for k := range s.point {
			if c.points&bit(k) != 0 && s.point[k].st == present {
				s.point[k].st = removed
			}
		}
		for k := range s.pack {
			if c.packs&bit(k) != 0 && s.pack[k] == present {
				s.pack[k] = removed
			}
		}
	}
	condemned := uint8(0)
	for range 2 {
		for k, l := range s.list {
			if l.st == present && m.takeOver {
				work(m.spare(&s, k, s.points(anyPoint)))
			} else if l.st == present && !m.takeOver {
				condemned |= l.packs // it is left to its collector, which is dead
			}
		}
		dead := s.points(func(p modelPoint) bool { return p.forgotten == 1 })
		work(modelCollector{points: dead, packs: s.packs() &^ condemned &^ s.named(s.points(anyPoint)&^dead)})
	}
	if s.points(func(p modelPoint) bool { return p.forgotten == 1 }) != 0 {
		return "a point that was given up stays"
	}
	if s.packs()&^s.named(s.points(anyPoint)) != 0 {
		return "garbage stays for ever"
	}
	return ""
}
