package storetest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"ivdmover/shared/ivd"
	"ivdmover/shared/store"
)

func concurrent(t *testing.T, s store.Store) {
	g, ctx := errgroup.WithContext(t.Context())
	for w := range 8 {
		g.Go(func() error {
			for i := range 10 {
				name := store.Name(fmt.Sprintf("data/%d/%d", i%3, w*100+i))
				body := random(uint64(w*100+i), 10_000+i)
				if err := s.Put(ctx, name, body); err != nil {
					return err
				}
				part := make([]byte, 5000)
				if err := s.ReadAt(ctx, name, part, 77); err != nil {
					return err
				}
				if !bytes.Equal(part, body[77:5077]) {
					return fmt.Errorf("%s: somebody else's bytes", name)
				}
				if i%2 == 1 {
					if err := s.Delete(ctx, name); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, s, ""); len(got) != 40 {
		t.Errorf("%d objects, want 40", len(got))
	}
}

// model compares a store with a map, over random calls.
func model(t *testing.T, s store.Store) {
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		objects := map[store.Name]string{}
		prefix := fmt.Sprintf("m/%d/", round)
		name := func(rt *rapid.T) store.Name {
			return store.Name(prefix + rapid.SampledFrom([]string{"a/1", "a/2", "b", "c/d/e"}).Draw(rt, "name"))
		}
		content := rapid.StringN(0, 20, -1)
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				n, body := name(rt), content.Draw(rt, "body")
				if err := s.Put(t.Context(), n, []byte(body)); err != nil {
					rt.Fatal(err)
				}
				objects[n] = body
			},
			"delete": func(rt *rapid.T) {
				n := name(rt)
				if err := s.Delete(t.Context(), n); err != nil {
					rt.Fatal(err)
				}
				delete(objects, n)
			},
			"create": func(rt *rapid.T) { modelCreate(t, rt, s, objects, name(rt), content.Draw(rt, "body")) },
			"":       func(rt *rapid.T) { modelCheck(t, rt, s, objects, prefix, name(rt)) },
		})
	})
}

func modelCreate(t *testing.T, rt *rapid.T, s store.Store, objects map[store.Name]string, n store.Name, body string) {
	p, err := s.Prepare(t.Context(), lease, n, []byte(body), time.Minute)
	if err != nil {
		rt.Fatal(err)
	}
	defer p.Discard()
	err = p.Send(t.Context())
	_, taken := objects[n]
	switch {
	case !taken && err != nil:
		rt.Fatal(err)
	case taken && s.Properties().ConditionalCreate && ivd.KindOf(err) != ivd.Exists:
		rt.Fatalf("%s was taken: %v", n, err)
	}
	if err == nil {
		objects[n] = body
	}
}

func modelCheck(t *testing.T, rt *rapid.T, s store.Store, objects map[store.Name]string, prefix string, n store.Name) {
	want, there := objects[n]
	o, err := s.Get(t.Context(), n, 1000)
	if there && (err != nil || string(o.Body) != want) {
		rt.Fatalf("get %s: %q, %v; want %q", n, o.Body, err, want)
	}
	if !there && ivd.KindOf(err) != ivd.NotFound {
		rt.Fatalf("get %s: %v, want not found", n, err)
	}
	listed := 0
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			rt.Fatal(err)
		}
		if body, ok := objects[info.Name]; !ok || int64(len(body)) != info.Size {
			rt.Fatalf("list: %+v, want %q", info, body)
		}
		listed++
	}
	if listed != len(objects) {
		rt.Fatalf("list: %d objects, want %d", listed, len(objects))
	}
}
