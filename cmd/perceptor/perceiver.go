package main

import (
	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/workers"
)

func newPerceiver(s *shared) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "perceiver",
		Short: "Watch a platform: report what runs, write verdicts back onto it",
	}
	cmd.AddCommand(newPerceiverKubernetes(s))
	return cmd
}

const kubernetesHelp = `Watch the pods of a Kubernetes cluster until SIGTERM: what they run is reported, scanned and joined with its verdicts.

The cluster is that of --kubeconfig and --context, of KUBECONFIG, or the one this pod runs in. Pods that have ended and pods
without a node are left out. A pod or a namespace with the annotation perceptor/ignore: "true" is left alone. Of several
replicas with --leader-elect one works and the others stand by.

Verdicts are written onto the pods as labels and annotations, in the keys of the original's perceivers (pod.overall-status,
image0.vulnerabilities) or those of OpsSight, and a pod that turns out to be in violation gets an Event. A pod is written to
once everything it runs is scanned; if it then runs something that is not, its status is UNKNOWN and its counts are gone.

In patterns * is any run of characters and ? any one. Patterns of images are held against repository with registry, such as
docker.io/library/redis, or, with a colon in them, against repository and tag.`

const kubernetesExamples = `  # in the cluster, under a name of its own
  perceptor perceiver kubernetes --cluster prod-eu

  # from outside; some namespaces only; nothing is written to the cluster
  perceptor perceiver kubernetes --kubeconfig ~/.kube/config --context prod --cluster prod \
      --namespaces 'team-*,shop' --exclude-namespaces '*-sandbox' --observe-only

  # images that are not worth a scan
  perceptor perceiver kubernetes --ignore-images '*/pause,quay.example/*,*/tools:debug-*'`

func newPerceiverKubernetes(s *shared) *cobra.Command {
	cmd := &cobra.Command{
		Use: "kubernetes", Short: "Watch the pods of a Kubernetes cluster", Long: kubernetesHelp, Example: kubernetesExamples, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runPerceiverKubernetes(cmd, s) },
	}
	flags := cmd.Flags()
	flags.String("cluster", "", "what the cluster is called (default \"default\")")
	flags.String("kubeconfig", "", "file that names the cluster")
	flags.String("context", "", "context in that file")
	flags.StringSlice("namespaces", nil, "patterns of namespaces to watch (default: all)")
	flags.StringSlice("exclude-namespaces", nil, "patterns of namespaces to leave out")
	flags.String("namespace-selector", "", "watch only namespaces with such labels, such as scan=yes,tier!=test")
	flags.StringSlice("ignore-images", nil, "patterns of images to leave out (default: pause and the like)")
	flags.String("labels", "", "the keys of labels and annotations: original, opssight or both (default both; one alone is half as much)")
	flags.String("prefix", "", "what the original's keys begin with, such as perceptor.example/")
	flags.Bool("leader-elect", false, "work only while holding the Lease perceptor-perceiver of this pod's namespace, for several replicas")
	flags.Bool("observe-only", false, "write nothing to the cluster")
	flags.Duration("snapshot-interval", 0, "how often everything is reported again (default 30m)")
	flags.String("domain", "", "the set of scanners that reach the cluster's registries")
	flags.Bool("pull-secrets", false, "report pods with the names of their pull secrets, for scanners with --pull-secrets")
	flags.Float64("kubernetes-rate", 0, "requests per second to the API server at the most (default 50)")
	return cmd
}

func runPerceiverKubernetes(cmd *cobra.Command, s *shared) error {
	p, err := s.open(cmd.Flags())
	if err != nil {
		return err
	}
	defer p.client.Close()
	return workers.RunKubernetes(cmd.Context(), workers.PerceiverSettings{Config: p.Perceiver, Client: p.client, Version: version(), Logger: p.log})
}
