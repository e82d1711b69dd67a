package s3_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"ivdmover/shared/store"
	"ivdmover/shared/store/s3"
	"ivdmover/shared/store/storetest"
)

func configOf(service storetest.Service) s3.Config {
	return s3.Config{
		Endpoint: service.Endpoint, Bucket: service.Bucket,
		AccessKey: service.AccessKey, SecretKey: service.SecretKey,
	}
}

func open(t *testing.T, c s3.Config) *s3.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestCloseLeavesNothing: no goroutine outlives a store.
func TestCloseLeavesNothing(t *testing.T) {
	service := storetest.S3(t)
	before := goleak.IgnoreCurrent()
	s := open(t, configOf(service))
	for range 3 {
		if err := s.Put(t.Context(), "a", []byte("x")); err != nil {
			t.Fatal(err)
		}
		for _, err := range s.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, before)
}

func TestConformance(t *testing.T) {
	service := storetest.S3(t)
	var n atomic.Int32
	storetest.Run(t, func(t *testing.T) store.Store {
		c := configOf(service)
		c.Prefix = fmt.Sprintf("estate/%d", n.Add(1))
		return open(t, c)
	})
}
