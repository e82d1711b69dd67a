package vcenter

import (
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// Live reports whether a cookie's value is that of a session that has not ended.
func (v *VCenter) Live(cookie string) bool {
	for _, s := range v.sessions().SessionList {
		if s.Key == cookie {
			return true
		}
	}
	return false
}

// Sessions counts the sessions that have not ended.
func (v *VCenter) Sessions() int { return len(v.sessions().SessionList) }

// sessions is the simulator's manager as a client sees it.
func (v *VCenter) sessions() *simulator.SessionManager {
	return v.call().Session.Get(v.reg.SessionManager().Self).(*simulator.SessionManager)
}

// watchSessions ends sessions that made no call for too long, until Close.
func (v *VCenter) watchSessions() {
	t := time.NewTicker(max(v.o.LoginIdle/4, time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-v.ctx.Done():
			return
		case now := <-t.C:
			v.expire(now)
		}
	}
}

func (v *VCenter) expire(now time.Time) {
	m := v.sessions()
	for _, s := range m.SessionList {
		if now.Sub(s.LastActiveTime) > v.o.LoginIdle {
			m.TerminateSession(v.call(), &types.TerminateSession{SessionId: []string{s.Key}})
		}
	}
}
