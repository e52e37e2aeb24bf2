// Package inventory is the workflow Inventory: the pods of one namespace, the images that they run, and what is known of these.
// The join is kept by the package of the same name under internal. The workflow has its questions answered and its verdicts written.
package inventory
