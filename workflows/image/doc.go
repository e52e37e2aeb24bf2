// Package image is the workflow Image: one image, from its first reference to a day after its last. What is known of the image
// and what is due is decided by package record; the workflow carries it out.
package image
