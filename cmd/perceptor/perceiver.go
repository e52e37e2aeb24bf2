package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/workers"
)

func newPerceiver(s *shared) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "perceiver",
		Short: "Watch a platform: report its pods and write verdicts onto them",
	}
	cmd.AddCommand(newPerceiverKubernetes(s), newPerceiverDocker(s), newPerceiverRegistry(s))
	return cmd
}

const kubernetesHelp = `Watch the pods of a Kubernetes cluster until SIGTERM. The perceiver reports the pods. Perceptor scans their images, and the
perceiver writes the verdicts onto the pods.

The cluster is the one of --kubeconfig and --context, of KUBECONFIG, or the cluster that this pod runs in. The perceiver does
not report pods that have ended, pods without a node, and pods or namespaces with the annotation perceptor/ignore: "true".
With --leader-elect, one of several replicas works and the others wait.

Verdicts become labels and annotations. --labels chooses the keys:

  compat    the keys of Perceptor 0.x (2018), such as pod.overall-status and image0.vulnerabilities
  opssight  the keys of OpsSight
  both      both sets (the default); one set takes half the space

A pod that is found in violation also gets an Event. The perceiver writes to a pod when all its images are scanned, or when one of
them is known to be in violation. If the pod later runs an image that is not scanned, its status becomes UNKNOWN and the counts
are removed. Marks that someone else changes are written again. A key without a prefix that another program had before keeps
its value; the annotation perceptor/keys-of-others-... names it.

--remove-marks takes everything away again, also from pods that have opted out. Stop the perceiver first, or it writes again.

In patterns, * stands for any characters and ? for one character. A pattern for images is compared with registry and
repository, such as docker.io/library/redis. A pattern with a colon is compared with repository and tag.`

const kubernetesExamples = `  # inside the cluster, with the name prod-eu
  perceptor perceiver kubernetes --cluster prod-eu

  # from outside the cluster, for some namespaces; writes nothing to the cluster
  perceptor perceiver kubernetes --kubeconfig ~/.kube/config --context prod --cluster prod \
      --namespaces 'team-*,shop' --exclude-namespaces '*-sandbox' --observe-only

  # leave out some images
  perceptor perceiver kubernetes --ignore-images '*/pause,quay.example/*,*/tools:debug-*'`

func newPerceiverKubernetes(s *shared) *cobra.Command {
	cmd := &cobra.Command{
		Use: "kubernetes", Short: "Watch the pods of a Kubernetes cluster", Long: kubernetesHelp, Example: kubernetesExamples, Args: cobra.NoArgs,
	}
	remove := false
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if remove {
			return removeMarks(cmd, s)
		}
		return runPerceiver(cmd, s, workers.RunKubernetes)
	}
	flags := cmd.Flags()
	flags.String("cluster", "", "name of the cluster (default \"default\")")
	flags.String("kubeconfig", "", "kubeconfig file")
	flags.String("context", "", "context in the kubeconfig file")
	flags.StringSlice("namespaces", nil, "patterns of namespaces to watch (default: all)")
	flags.StringSlice("exclude-namespaces", nil, "patterns of namespaces to leave out")
	flags.String("namespace-selector", "", "label selector for the namespaces to watch, such as scan=yes,tier!=test")
	flags.StringSlice("ignore-images", nil, "patterns of images to leave out (default: pause images)")
	flags.StringSlice("pod-labels", nil, "keys of labels to report with each pod, such as team; at most 16")
	flags.String("labels", "", "keys of labels and annotations: compat, opssight or both (default both)")
	flags.String("prefix", "", "beginning of the compat keys, such as perceptor.example/")
	flags.Bool("leader-elect", false, "of several replicas, only the holder of the Lease perceptor-perceiver works")
	flags.Bool("observe-only", false, "write nothing to the cluster")
	flags.Duration("snapshot-interval", 0, "how often all pods are reported again (default 30m)")
	flags.String("domain", "", "group of scanners (domain) that can reach the cluster's registries")
	flags.Bool("pull-secrets", false, "report the names of the pods' pull secrets, for scanners with --pull-secrets")
	flags.Float64("kubernetes-rate", 0, "largest number of requests per second to the API server (default 50)")
	flags.BoolVar(&remove, "remove-marks", false, "remove all labels and annotations of this perceiver from the cluster's pods, and end")
	return cmd
}

// removeMarks takes everything away that the perceiver of this cluster has written onto pods.
func removeMarks(cmd *cobra.Command, s *shared) error {
	c, err := s.load(cmd.Flags())
	if err != nil {
		return err
	}
	l, err := logger(c.LogLevel)
	if err != nil {
		return err
	}
	removed, err := workers.RemoveMarks(cmd.Context(), c.Perceiver, version(), l)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "Removed the marks of %d pods\n", removed)
	return err
}

// runPerceiver runs a perceiver until the command's context ends.
func runPerceiver(cmd *cobra.Command, s *shared, run func(context.Context, workers.PerceiverSettings) error) error {
	p, err := s.open(cmd.Flags())
	if err != nil {
		return err
	}
	defer p.client.Close()
	return run(cmd.Context(), workers.PerceiverSettings{Config: p.Perceiver, Registries: p.Registries, Client: p.client, Version: version(), Logger: p.log})
}

const dockerHelp = `Watch the containers of a Docker Engine until SIGTERM. The perceiver reports what runs, and Perceptor scans the images. It
writes nothing to the engine. Read the verdicts with "perceptor pods", the API or the Web UI.

  what                      namespace              pod
  plain containers          default                the container's name
  Compose projects          the project            service and number, such as web-1
  Swarm services            the stack, or default  the task, such as shop_web.2

On a manager of a Swarm the perceiver reports the tasks of all nodes, and the other containers of its own engine. On a worker it
reports the worker's containers. Run one perceiver for each engine, each with its own --cluster.

The engine is the one of --docker-host, DOCKER_HOST, --docker-context, DOCKER_CONTEXT or the docker command's current context. With
DOCKER_TLS_VERIFY and DOCKER_CERT_PATH it speaks TLS. Who can use an engine's socket controls its host. The perceiver only reads, so
a proxy before the socket may refuse everything but GET.

An image without a digest from a registry, such as one that was built on the host, is scanned by a scanner on that host: "perceptor
worker --docker-host". Its name is not looked up in a registry, because that could be another image.`

const dockerExamples = `  # this host's engine
  perceptor perceiver docker --cluster laptop

  # the manager of a Swarm, without some stacks
  DOCKER_HOST=tcp://manager.example:2376 DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=/etc/perceptor/docker \
      perceptor perceiver docker --cluster swarm-eu --exclude-namespaces '*-sandbox'`

func newPerceiverDocker(s *shared) *cobra.Command {
	cmd := &cobra.Command{
		Use: "docker", Short: "Watch the containers of a Docker Engine or a Swarm", Long: dockerHelp, Example: dockerExamples, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runPerceiver(cmd, s, workers.RunDocker)
		},
	}
	flags := cmd.Flags()
	flags.String("cluster", "", "name of the engine or Swarm (default \"default\")")
	flags.String("docker-host", "", "address of the engine, such as unix:///var/run/docker.sock")
	flags.String("docker-context", "", "context of the docker command")
	flags.StringSlice("namespaces", nil, "patterns of namespaces (projects and stacks) to watch (default: all)")
	flags.StringSlice("exclude-namespaces", nil, "patterns of namespaces to leave out")
	flags.StringSlice("ignore-images", nil, "patterns of images to leave out (default: pause images)")
	flags.StringSlice("pod-labels", nil, "keys of labels to report with each pod, such as team; at most 16")
	flags.Duration("snapshot-interval", 0, "how often everything is reported again (default 30m)")
	flags.String("domain", "", "group of scanners (domain) that can reach the engine's registries")
	return cmd
}

const registryHelp = `Watch the tags of one registry until SIGTERM. The perceiver reports the image that each tag leads to, and Perceptor scans
it, whether or not it runs anywhere. Read the verdicts with "perceptor pods", the API or the Web UI.

  what         namespace                                   pod
  each tag     the repository, such as team:app            the tag

The perceiver reads all tags at its start and at each --walk-interval. With --webhook-address it also takes the events of the registry,
at the path /webhook, so that a push is reported within seconds. --kind is the product that sends them:

  kind           product                                   how an event proves the secret
  distribution   registry of the distribution project      Authorization: Bearer SECRET
  harbor         Harbor, both payload formats              Authorization: Bearer SECRET, or the secret alone
  quay           Quay                                      https://any:SECRET@HOST/webhook
  artifactory    Artifactory, predefined webhooks          the webhook's secret token, signed or plain

An event only says where to look: the perceiver reads the tag from the registry of --registry. It answers 200 when Perceptor has the
report, and 503 when the event must be sent again. With --write-back it writes verdicts to Quay and Artifactory. docs/registry.md has the
setup of each product.`

const registryExamples = `  # Harbor; the file has the secret that the webhook sends
  perceptor perceiver registry --cluster harbor --registry harbor.example --kind harbor --registry-username 'robot$perceptor' \
      --registry-password-file /etc/perceptor/harbor --webhook-address 0.0.0.0:8443 --webhook-secret-file /etc/perceptor/webhook \
      --webhook-cert-file tls.crt --webhook-key-file tls.key

  # a registry that sends no events, read every five minutes
  perceptor perceiver registry --cluster registry --registry registry.example:5000 --walk-interval 5m`

func newPerceiverRegistry(s *shared) *cobra.Command {
	cmd := &cobra.Command{
		Use: "registry", Short: "Watch the tags of a registry", Long: registryHelp, Example: registryExamples, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runPerceiver(cmd, s, workers.RunRegistry)
		},
	}
	flags := cmd.Flags()
	flags.String("cluster", "", "name of the registry in Perceptor (default \"default\")")
	flags.String("registry", "", "host of the registry as it stands in image references, such as registry.example:5000")
	flags.String("kind", "", "product that sends events: distribution, harbor, quay or artifactory")
	flags.String("webhook-address", "", "address that takes events at /webhook (default: no events, tags are only read)")
	flags.String("webhook-secret-file", "", "file with the secret of the events; several lines are several secrets")
	flags.String("webhook-cert-file", "", "file with the TLS certificate for events in PEM form")
	flags.String("webhook-key-file", "", "file with the certificate's key in PEM form")
	flags.Bool("webhook-plain-http", false, "allow plain HTTP for events on addresses that are not loopback")
	flags.String("registry-username", "", "user name for reading tags")
	flags.String("registry-password-file", "", "file with the password or token of that user")
	flags.StringSlice("repositories", nil, "repositories to watch (default: all in the registry's catalogue)")
	flags.StringSlice("ignore-images", nil, "patterns of images to leave out (default: pause images)")
	flags.Duration("walk-interval", 0, "how often all tags are read (default 15m)")
	flags.String("platform", "", "platform for which an image with several platforms is scanned (default linux/amd64)")
	flags.Bool("write-back", false, "write verdicts to the registry: labels in Quay, properties in Artifactory")
	flags.String("write-token-file", "", "file with the token of the product's API that may write them")
	flags.String("registry-api-url", "", "base of the product's API (default: the registry's host, for Artifactory with /artifactory)")
	flags.String("credential", "", "name of the credential with which scanners pull the images")
	flags.Duration("snapshot-interval", 0, "how often everything is reported again (default 30m)")
	flags.String("domain", "", "group of scanners (domain) that can reach the registry")
	return cmd
}
