package worker

import (
	"context"
	"errors"
	"sync"

	"ivdmover/shared/format"
	"ivdmover/shared/ivd"
	"ivdmover/shared/job"
	"ivdmover/shared/queue"
)

// maxKeys bounds the keys of packs that one restore job holds.
const maxKeys = 16384

// keychain has the keys of the data packs that one restore job reads, which its
// coordinator gives: some at a time, and for as long as the job lasts. The oldest go where
// they would be too many.
type keychain struct {
	w     *Worker
	claim job.Claim
	touch func()

	asking sync.Mutex // one question at a time: its answer may have the next one's key

	mu    sync.Mutex
	keys  map[ivd.PackRef]job.PackKey // guarded by mu
	order []ivd.PackRef               // guarded by mu: the oldest first
}

// PackKey is image.Keys'.
func (k *keychain) PackKey(ctx context.Context, page *format.Page, span ivd.SpanIndex, ref ivd.PackRef) (ivd.KeyID, ivd.Key, error) {
	return k.get(ctx, ref, page.Index, func() []ivd.PackRef { return k.wanted(page, span, ref) })
}

// get is the key of a pack; what it is asked for together with is asked of wanted.
func (k *keychain) get(ctx context.Context, ref ivd.PackRef, page ivd.PageIndex, wanted func() []ivd.PackRef) (ivd.KeyID, ivd.Key, error) {
	if key, ok := k.known(ref); ok {
		return key.DataKey, key.Key, nil
	}
	k.asking.Lock()
	defer k.asking.Unlock()
	if key, ok := k.known(ref); ok {
		return key.DataKey, key.Key, nil
	}
	req := job.PackKeysRequest{Version: job.Version, Repository: k.w.Repository.ID(), Claim: k.claim, Page: page, Packs: wanted()}
	var refused error
	err := patiently(ctx, k.touch, func(ctx context.Context) error {
		keys, err := k.w.Queue.AskPackKeys(ctx, req, k.w.key)
		switch refused = nil; {
		case errors.Is(err, queue.ErrNoChunks): // the one that does may be starting again
			refused = err
			return ivd.Errorf(ivd.Transient, "%w", err)
		case err == nil:
			k.keep(req.Packs, keys)
		}
		return err
	})
	if refused != nil {
		err = refused
	}
	if err != nil {
		return ivd.KeyID{}, ivd.Key{}, err
	}
	key, _ := k.known(ref) // it is among the newest
	return key.DataKey, key.Key, nil
}

func (k *keychain) known(ref ivd.PackRef) (job.PackKey, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.keys[ref]
	return key, ok
}

// wanted are a pack and those that the page's spans from this one on need and that have no
// key here, in the order of the disk.
func (k *keychain) wanted(page *format.Page, span ivd.SpanIndex, ref ivd.PackRef) []ivd.PackRef {
	k.mu.Lock()
	defer k.mu.Unlock()
	list, seen := []ivd.PackRef{ref}, map[ivd.PackRef]bool{ref: true}
	for i := int(span - page.Index.FirstSpan()); i < len(page.Spans); i++ {
		s := &page.Spans[i]
		for _, n := range s.Needs {
			p := page.Packs[n]
			if _, known := k.keys[p]; known || seen[p] || p == s.Place.PackRef { // an index pack opens without
				continue
			}
			if len(list) == job.MaxPackKeys {
				return list
			}
			list, seen[p] = append(list, p), true
		}
	}
	return list
}

func (k *keychain) keep(refs []ivd.PackRef, keys []job.PackKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys == nil {
		k.keys = map[ivd.PackRef]job.PackKey{}
	}
	for i, ref := range refs {
		if _, known := k.keys[ref]; !known {
			k.order = append(k.order, ref)
		}
		k.keys[ref] = keys[i]
	}
	for len(k.order) > maxKeys {
		delete(k.keys, k.order[0])
		k.order = k.order[1:]
	}
}
