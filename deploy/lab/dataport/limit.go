package dataport

import (
	"fmt"
	"sync"
	"time"

	"ivdmover/deploy/lab/script"
)

// limits are what a host has for all its sessions together.
type limits struct {
	mu     sync.Mutex
	memory int64
	open   int
	most   int // that were open at once
}

// take reserves a session's buffers. Both refusals are those of real hosts: NFC's
// answer when its memory is used up, and a server that takes no more connections.
func (l *limits) take(h script.Hosts, buffers int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h.NFCMemory > 0 && l.memory+buffers > h.NFCMemory {
		return refuse(noMemory, fmt.Sprintf("Failed to allocate the requested %d bytes", buffers))
	}
	if h.NFCConnections > 0 && l.open >= h.NFCConnections {
		return refuse(connRefused, fmt.Sprintf("the host serves %d connections already", l.open))
	}
	l.memory += buffers
	l.open++
	l.most = max(l.most, l.open)
	return nil
}

func (l *limits) give(buffers int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.memory -= buffers
	l.open--
}

// MostOpen is how many disks were open at once over the network, since the start.
func (p *Port) MostOpen() int {
	p.limits.mu.Lock()
	defer p.limits.mu.Unlock()
	return p.limits.most
}

// hosts reads how the hosts are; what cannot be read limits nothing, and is told.
func (p *Port) hosts() script.Hosts {
	h, err := script.ReadHosts(p.o.Dir)
	if err != nil {
		p.o.Log.Error("hosts.json is ignored", "err", err)
	}
	return h
}

// pace makes a request take as long as a host takes: the latency for itself, and
// the bandwidth's share after the session's earlier requests.
type pace struct {
	mu   sync.Mutex
	free time.Time // when the session's line is free again
}

func (x *pace) until(start time.Time, h script.Hosts, n int) time.Time {
	end := start.Add(time.Duration(h.Latency))
	if h.Bandwidth <= 0 || n == 0 {
		return end
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.free.Before(start) {
		x.free = start
	}
	x.free = x.free.Add(time.Duration(float64(n) / float64(h.Bandwidth) * float64(time.Second)))
	if x.free.After(end) {
		return x.free
	}
	return end
}

// paced performs a request in its time; a session that ends waits no longer.
func (s *session) paced(q request) ([]byte, error) {
	start, h := time.Now(), s.p.hosts()
	payload, err := s.perform(q)
	d := time.Until(s.pace.until(start, h, len(payload)+len(q.payload)))
	if d <= 0 || h.Latency == 0 && h.Bandwidth == 0 {
		return payload, err
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.gone:
	}
	return payload, err
}
