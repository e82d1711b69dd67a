package owner

import (
	"context"
	"fmt"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// EndLogins ends every session with the vCenter but the owner's, and tells how many.
func (o *Owner) EndLogins(ctx context.Context) (int, error) {
	manager := *o.client.ServiceContent.SessionManager
	var m mo.SessionManager
	if err := o.client.RetrieveOne(ctx, manager, []string{"sessionList", "currentSession"}, &m); err != nil {
		return 0, fmt.Errorf("list the sessions: %w", err)
	}
	var keys []string
	for _, s := range m.SessionList {
		if m.CurrentSession == nil || s.Key != m.CurrentSession.Key {
			keys = append(keys, s.Key)
		}
	}
	_, err := methods.TerminateSession(ctx, o.client, &types.TerminateSession{This: manager, SessionId: keys})
	if err != nil {
		return 0, fmt.Errorf("end %d sessions: %w", len(keys), err)
	}
	return len(keys), nil
}
