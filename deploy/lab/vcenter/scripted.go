package vcenter

import (
	"fmt"
	"reflect"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"

	"ivdmover/deploy/lab/script"
)

// scripted is the rule of answers.json that fits a call about a disk, or nil.
func (v *VCenter) scripted(call string, request any) *script.Answer {
	rules, err := script.ReadAnswers(v.o.Dir)
	if err != nil {
		v.o.Log.Error("answers.json cannot be read: every answer is true", "err", err)
		return nil
	}
	for _, r := range rules {
		if r.Call == call && fits(r, request) {
			return &r
		}
	}
	return nil
}

// fits reports whether a rule is about a request, which names its disk as Id.
func fits(r script.Answer, request any) bool {
	req := reflect.Indirect(reflect.ValueOf(request))
	if req.Kind() != reflect.Struct {
		return false
	}
	if id := req.FieldByName("Id"); r.Disk != "" && (!id.IsValid() || id.FieldByName("Id").String() != r.Disk) {
		return false
	}
	areas, ok := request.(*types.VstorageObjectVCenterQueryChangedDiskAreas)
	if !ok {
		return r.Since == "" && r.From == 0
	}
	return (r.Since == "" || r.Since == areas.ChangeId) && areas.StartOffset >= r.From
}

// refusal is the fault with which a call is answered by answers.json, or nil.
func (v *VCenter) refusal(m *simulator.Method) types.BaseMethodFault {
	r := v.scripted(m.Name, m.Body)
	if r == nil {
		return nil
	}
	if r.Delay > 0 {
		select {
		case <-time.After(time.Duration(r.Delay)):
		case <-v.ctx.Done():
		}
	}
	if r.Fault == "" {
		return nil
	}
	t, ok := types.TypeFunc()(r.Fault)
	if ok {
		if f, ok := reflect.New(t).Interface().(types.BaseMethodFault); ok {
			f.GetMethodFault().FaultMessage = []types.LocalizableMessage{{Key: "laboratory", Message: "answers.json says so"}}
			return f
		}
	}
	return &types.SystemError{Reason: fmt.Sprintf("answers.json: %q is no fault", r.Fault)}
}

// scriptedAreas is an answer of answers.json to a question for areas.
func scriptedAreas(a *script.Areas, asked int64) types.DiskChangeInfo {
	info := types.DiskChangeInfo{StartOffset: asked, Length: a.Length}
	if a.Start != nil {
		info.StartOffset = *a.Start
	}
	for _, x := range a.Areas {
		info.ChangedArea = append(info.ChangedArea, types.DiskChangeExtent{Start: x[0], Length: x[1]})
	}
	return info
}
