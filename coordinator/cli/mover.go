package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"ivdmover/coordinator/serve"
	"ivdmover/shared/config"
	"ivdmover/shared/ivd"
)

func (a *app) addMover() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "add NAME",
		Short: "Make the credentials of a mover on another host",
		Long: `Makes the credentials by which the mover of that name gets into the embedded queue at
queue.listen, and prints the file that has them, for queue.creds_file of that mover
alone: no other name gets in with it. Run it as the user of ivd serve, which may run
meanwhile. A mover that has credentials already keeps them. Who removes the file shuts
the mover out, from its next connection on.`,
		Example: `  ivd movers add proxy-1 --config /etc/ivd/ivd.yaml`,
		Args:    oneArg("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := config.Load(file)
			if err == nil {
				err = cfg.ValidateCoordinator()
			}
			if err != nil {
				return err
			}
			if cfg.Queue.URL != "" {
				return &ivd.Error{Kind: ivd.Invalid, Op: "queue.url", Err: errors.New("the queue is a NATS of your own, which knows its users itself"), Remedy: "add the mover to that server's accounts"}
			}
			creds, err := serve.AddMover(cfg, args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), creds)
			return err
		},
	}
	withConfig(c, &file)
	return c
}
