package starter

import (
	"context"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/perceptor/perceptor/workflows"
)

// Setup is the client by which a Temporal namespace is made ready for Perceptor.
type Setup struct{ link }

// SearchAttributes are the search attributes that the namespace must have, with their types.
func SearchAttributes() map[string]enumspb.IndexedValueType {
	all := map[string]enumspb.IndexedValueType{
		workflows.AttributeAsOf.GetName(): enumspb.INDEXED_VALUE_TYPE_DATETIME, workflows.AttributeValidUntil.GetName(): enumspb.INDEXED_VALUE_TYPE_DATETIME,
	}
	for _, key := range []temporal.SearchAttributeKeyKeyword{
		workflows.AttributeDigest, workflows.AttributeRepository, workflows.AttributeHub, workflows.AttributeScanStatus,
		workflows.AttributeOverallStatus, workflows.AttributeHubVersion, workflows.AttributeCluster, workflows.AttributeNamespace,
		workflows.AttributeCoverage,
	} {
		all[key.GetName()] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
	}
	for _, key := range []temporal.SearchAttributeKeyInt64{workflows.AttributePods, workflows.AttributeUnscanned} {
		all[key.GetName()] = enumspb.INDEXED_VALUE_TYPE_INT
	}
	return all
}

// attributesSeen is how long the servers may take until all of them know new search attributes.
const attributesSeen = time.Minute

// Apply makes the namespace ready: the search attributes, the schedule of the watchdog, then the pool with its hubs. It is safe to repeat. The list of
// hubs replaces every other one.
func (s Setup) Apply(ctx context.Context, namespace string, list workflows.Configure) error {
	if err := s.AddAttributes(ctx, namespace); err != nil {
		return err
	}
	if err := Watch(s).Configure(ctx); err != nil {
		return err
	}
	list.Setup = true
	return Pool(s).ConfigureHubs(ctx, list)
}

// AddAttributes adds the search attributes that the namespace lacks, and waits up to a minute until the server shows them.
// One that exists with another type is an error: it has to be removed by hand.
func (s Setup) AddAttributes(ctx context.Context, namespace string) error {
	missing, err := s.missingAttributes(ctx, namespace)
	if err != nil || len(missing) == 0 {
		return err
	}
	_, err = s.temporal.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
		Namespace: namespace, SearchAttributes: missing,
	})
	if err != nil {
		return fmt.Errorf("add search attributes to namespace %s: %w", namespace, err)
	}
	deadline := time.Now().Add(attributesSeen)
	for len(missing) > 0 {
		if time.Now().After(deadline) {
			return fmt.Errorf("add search attributes to namespace %s: the server does not show them after %s", namespace, attributesSeen)
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		if missing, err = s.missingAttributes(ctx, namespace); err != nil {
			return err
		}
	}
	return nil
}

func (s Setup) missingAttributes(ctx context.Context, namespace string) (map[string]enumspb.IndexedValueType, error) {
	known, err := s.temporal.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if err != nil {
		return nil, fmt.Errorf("list search attributes of namespace %s: %w", namespace, err)
	}
	missing := SearchAttributes()
	for name, kind := range missing {
		has, ok := known.GetCustomAttributes()[name]
		if ok && has != kind {
			return nil, fmt.Errorf("search attribute %s is of type %s in namespace %s; want %s", name, has, namespace, kind)
		}
		if ok {
			delete(missing, name)
		}
	}
	return missing, nil
}
