package workflows

import "github.com/perceptor/perceptor/activities"

// Nil pointers by which the workflows name their steps; only the method's name is used.
var (
	hubSteps        *activities.HubSteps
	inventorySteps  *activities.InventorySteps
	perceiverSteps  *activities.PerceiverSteps
	registrySteps   *activities.RegistrySteps
	poolSteps       *activities.PoolSteps
	prioritizeSteps *activities.PrioritizeSteps
	refreshSteps    *activities.RefreshSteps
	reportSteps     *activities.ReportSteps
	scanSteps       *activities.ScanSteps
	scannerSteps    *activities.ScannerSteps
)
