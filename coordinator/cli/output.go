package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"ivdmover/shared/telemetry"
)

// format is how a result is shown.
type format string

const (
	asTable format = "table"
	asJSON  format = "json"
	asYAML  format = "yaml"
)

var formats = []string{string(asTable), string(asJSON), string(asYAML)}

// String, Set and Type implement pflag.Value.
func (f *format) String() string { return string(*f) }

// Set takes one of the formats.
func (f *format) Set(s string) error {
	if !slices.Contains(formats, s) {
		return fmt.Errorf("want %s", strings.Join(formats, ", "))
	}
	*f = format(s)
	return nil
}

// Type is the name of the value in help.
func (f *format) Type() string { return "FORMAT" }

// withOutput adds the flag that chooses the format.
func (a *app) withOutput(c *cobra.Command) *cobra.Command {
	a.format = asTable
	c.Flags().VarP(&a.format, "output", "o", "how to show the result: table, json or yaml")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)) // fails only where it is registered twice
	return c
}

// show writes v in the chosen format; table writes it for people.
func (a *app) show(v any, table func(io.Writer) error) error {
	if a.format == asTable {
		return table(a.out)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write the result as JSON: %w", err)
	}
	body := telemetry.EscapeJSON(out.Bytes())
	if a.format == asYAML {
		var err error
		body, err = yamlOf(body)
		if err != nil {
			return fmt.Errorf("write the result as YAML: %w", err)
		}
	}
	_, err := a.out.Write(body)
	return err
}

// showList shows a list, with what is missing from it below the table, and returns its
// verdict.
func (a *app) showList(list any, table func(io.Writer) error, not unlisted, heading string) error {
	err := a.show(list, func(w io.Writer) error {
		if err := table(w); err != nil {
			return err
		}
		return not.write(w, heading)
	})
	if err != nil {
		return err
	}
	return not.verdict()
}

// yamlOf turns JSON into YAML with the same keys in the same order. JSON is YAML; only
// its style differs.
func yamlOf(body []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(body, &doc); err != nil {
		return nil, err
	}
	plainStyle(&doc)
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return nil, err
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	return telemetry.EscapeYAML(out.Bytes()), nil
}

func plainStyle(n *yaml.Node) {
	if len(n.Content) > 0 || n.Kind == yaml.ScalarNode {
		n.Style = 0 // an empty list stays [], an empty object {}
	}
	if telemetry.Steers(n.Value) {
		n.Style = yaml.DoubleQuotedStyle // elsewhere there are no escapes
	}
	for _, c := range n.Content {
		plainStyle(c)
	}
}
