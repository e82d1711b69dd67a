package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/api"
	"ivdmover/coordinator/cli/text"
	"ivdmover/coordinator/heads"
	"ivdmover/coordinator/keyring"
	"ivdmover/coordinator/serve"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
	"ivdmover/shared/repo"
	"ivdmover/shared/store"
	"ivdmover/shared/store/open"
	"ivdmover/shared/telemetry"
)

// loadForStore reads a configuration for a command that only uses the repository.
func loadForStore(file string) (*config.Config, error) {
	cfg, err := config.Load(file)
	if err != nil {
		return nil, err
	}
	return cfg, cfg.ValidateRepository()
}

// storeOpener opens a store in one of the ways of package open.
type storeOpener func(context.Context, config.Repository) (store.Store, error)

// openRepository opens the repository that a configuration file names.
func (a *app) openRepository(ctx context.Context, file string, opened storeOpener) (*repo.Repository, error) {
	return a.openAs(ctx, file, opened, keyring.Options{})
}

// openAs is openRepository with options.
func (a *app) openAs(ctx context.Context, file string, opened storeOpener, o keyring.Options) (*repo.Repository, error) {
	cfg, err := loadForStore(file)
	if err != nil {
		return nil, err
	}
	st, err := opened(ctx, cfg.Repository)
	if err != nil {
		return nil, err
	}
	o.Ask, o.Log = a.askPassphrase(), slog.Default()
	return keyring.Open(ctx, st, cfg.Repository, o)
}

// askOrOpen reads the store where --config is given, and asks the server otherwise.
func (a *app) askOrOpen(cmd *cobra.Command, file string) (api.Repository, error) {
	if !cmd.Flags().Changed("config") {
		c, err := a.client()
		if err != nil {
			return api.Repository{}, err
		}
		defer c.Close()
		return c.Repository(cmd.Context())
	}
	r, err := a.openRepository(cmd.Context(), file, whatIsThere)
	if err != nil {
		return api.Repository{}, err
	}
	shown := serve.DescribeRepository(r)
	cfg, err := config.Load(file)
	if err != nil {
		return api.Repository{}, err
	}
	shown.Failure = ivd.FailureOf(asSeen(cmd.Context(), cfg.StateDir, r))
	return shown, nil
}

// whatIsThere opens a store for reading only where it refuses writes.
func whatIsThere(ctx context.Context, r config.Repository) (store.Store, error) {
	return open.OpenWhatIsThere(ctx, r, slog.Default())
}

// asSeen refuses a repository that is not what the coordinator of this host has seen of it.
func asSeen(ctx context.Context, stateDir string, r *repo.Repository) error {
	was, err := seenBefore(stateDir, r)
	if err != nil {
		return err
	}
	return heads.Since(ctx, r, was)
}

// seenBefore is what the coordinator of this host has seen of a repository, as far as this
// user may know.
func seenBefore(stateDir string, r *repo.Repository) (heads.Heads, error) {
	h, err := heads.Read(heads.File(stateDir, r.ID()))
	if errors.Is(err, fs.ErrPermission) {
		slog.Warn("what this host has seen of the repository is not for this user: it is not compared", "err", err)
		err = nil
	}
	if err == nil && h.Repository == "" { // nothing
		h.Repository, h.Domain = r.ID(), r.Domain()
	}
	return h, err
}

func repoFacts(i api.Repository) []fact {
	chunk := "by the disk's capacity"
	if i.ChunkSize > 0 {
		chunk = telemetry.Bytes(i.ChunkSize)
	}
	facts := []fact{
		{"repository", i.ID},
		{"at", i.URL},
		{"format", strconv.Itoa(i.FormatVersion)},
		{"generation", strconv.FormatUint(i.Generation, 10)},
		{"incarnation", string(i.Incarnation)},
		{"domain", i.Domain.String()},
		{"chunk size", chunk},
		{"pack size", telemetry.Bytes(i.PackSize)},
		{"hash", i.Hash},
		{"cipher", i.Cipher},
	}
	for _, r := range i.Requests {
		asked := fmt.Sprintf("%d", r.Requests)
		if r.Bytes > 0 {
			asked += ", " + telemetry.Bytes(r.Bytes)
		}
		if r.Errors > 0 {
			asked += fmt.Sprintf(", %d failed", r.Errors)
		}
		facts = append(facts, fact{r.Kind + " requests", asked})
	}
	if !i.Root.IsZero() {
		facts = append(facts, fact{"root key", i.Root.String()})
	}
	return slices.Concat(facts, scheduledFacts("collection", i.Collection), scheduledFacts("verification", i.Verification))
}

// scheduledFacts says how work fares that has a schedule.
func scheduledFacts(what string, s *api.Scheduled) (facts []fact) {
	if s == nil {
		return nil
	}
	next := s.Schedule + " " + s.Timezone
	if s.Next != nil {
		next += ", next " + text.Time(*s.Next)
	}
	facts = append(facts, fact{what, next})
	switch {
	case s.Began == nil:
	case s.Ended == nil:
		facts = append(facts, fact{"last " + what, "under way since " + text.Time(*s.Began)})
	case s.Failure != nil:
		facts = append(facts, fact{"last " + what, text.Time(*s.Ended) + ", failed: " + text.Name(s.Failure.Message)})
	default:
		facts = append(facts, fact{"last " + what, text.Time(*s.Ended)})
	}
	if s.Hindrance != nil {
		facts = append(facts, fact{"not done here", text.Name(s.Hindrance.Message)})
	}
	return facts
}
