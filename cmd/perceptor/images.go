package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/cmd/internal/console"
	"github.com/perceptor/perceptor/model"
	"github.com/perceptor/perceptor/starter"
)

func newImages(s *shared) *cobra.Command {
	var filter starter.ImageFilter
	var status, overall, output string
	var limit int
	cmd := &cobra.Command{
		Use:   "images",
		Short: "List the known images and their verdicts",
		Long: `List the known images and their verdicts, newest first.

The list may be a second or two late. "perceptor explain" shows the present state of one image.
The column "assessed" says how many components were compared with complete vulnerability data; "-o json" says why not all.`,
		Example: `  perceptor images
  perceptor images --status Failed
  perceptor images --overall-status IN_VIOLATION -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter.Status, filter.OverallStatus = model.ScanStatus(status), model.OverallStatus(strings.ToUpper(overall))
			if limit < 1 {
				return fmt.Errorf("limit is %d; want at least 1", limit)
			}
			return s.withStarter(func(st *starter.Starter) error {
				rows, more, err := st.Images.List(cmd.Context(), filter, limit)
				if err != nil {
					return err
				}
				if output == "json" {
					return console.WriteJSON(cmd.OutOrStdout(), rows)
				}
				t := console.NewTable(cmd.OutOrStdout(), "repository", "digest", "scan", "status", "assessed", "hub", "since")
				for _, r := range rows {
					t.AppendRow([]any{r.Repository, r.Digest.Short(), r.Status, r.OverallStatus, r.Assessed, r.Hub, r.Since.Local().Format(time.DateTime)})
				}
				t.Render()
				if more {
					_, err = fmt.Fprintf(cmd.OutOrStdout(), "There are more than %d images. Filter the list, or use a larger --limit.\n", limit)
				}
				return err
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&filter.Repository, "repository", "", "only images of this repository; give it with its registry")
	flags.StringVar(&status, "status", "", "only images with this scan status: Unknown, InQueue, Complete or Failed")
	flags.StringVar(&overall, "overall-status", "", "only images with this overall status, such as IN_VIOLATION")
	flags.StringVarP(&output, "output", "o", "table", "table or json")
	flags.IntVar(&limit, "limit", 1000, "largest number of rows")
	return cmd
}
