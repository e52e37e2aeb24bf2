// Package kubetest starts a real API server of Kubernetes, with a real etcd behind it, for tests: loopback only, in a directory of the
// test's, gone when the test ends, however it ends.
//
// There is no kubelet, no scheduler and no controller. A test plays their parts: it makes nodes, namespaces and pods, and writes what a
// runtime would report of them. The ServiceAccount admission plugin is off, so a pod needs no service account; everything else is
// as in a cluster: RBAC, validation, watches, server-side apply, tokens of service accounts.
//
// Only tests and internal/rig may import it. It needs `make kube-apiserver` and Debian's etcd-server. A test calls rig.Needs first,
// which skips it where etcd is missing.
package kubetest
