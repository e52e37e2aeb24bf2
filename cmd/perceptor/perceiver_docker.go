package main

import (
	"github.com/spf13/cobra"

	"github.com/perceptor/perceptor/workers"
)

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

An image without a digest from a registry, such as one that was built on the host, has the status UNKNOWN with this reason. Its name
is not looked up in a registry, because that could be another image.`

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
	flags.Duration("snapshot-interval", 0, "how often everything is reported again (default 30m)")
	flags.String("domain", "", "group of scanners (domain) that can reach the engine's registries")
	return cmd
}
