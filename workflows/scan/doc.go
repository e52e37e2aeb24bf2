// Package scan is the workflow ScanImage: one scan of one image, from the look-up at the hubs to the verdict. Each step is one
// method that names the next step.
package scan
