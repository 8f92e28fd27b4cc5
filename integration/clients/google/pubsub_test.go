package google

import (
	"context"
	"testing"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"
	"google.golang.org/grpc"

	_ "github.com/grpc-subpool/subpool"
	"github.com/grpc-subpool/subpool/internal/harness"
)

func newPubSub(ctx context.Context, target, pool string) (*pubsub.Client, error) {
	// docs: pubsub
	conn, err := grpc.NewClient(target, creds, grpc.WithDefaultServiceConfig(pool))
	if err != nil {
		return nil, err
	}
	client, err := pubsub.NewClient(ctx, "project", option.WithGRPCConn(conn))
	// end
	return client, err
}

const topic = "projects/project/topics/topic"

// openPubSub opens a client of a server that has the topic, by way of a relay.
func openPubSub(t *testing.T) (*pubsub.Client, *relay) {
	t.Helper()
	server := pstest.NewServer()
	t.Cleanup(func() { _ = server.Close() })
	r := startRelay(t, server.Addr)
	client, err := newPubSub(t.Context(), "dns:///"+r.address(), pool)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	_, err = client.TopicAdminClient.CreateTopic(t.Context(), &pubsubpb.Topic{Name: topic})
	require.NoError(t, err)
	return client, r
}

func TestPubSub(t *testing.T) {
	client, r := openPubSub(t)
	publisher := client.Publisher("topic")
	defer publisher.Stop()
	harness.Renewed(t, r.connections, func(ctx context.Context) error {
		_, err := publisher.Publish(ctx, &pubsub.Message{Data: []byte("value")}).Get(ctx)
		return err
	})
}

// A subscriber's stream has no end, so that its connection drains for ever; the others are
// renewed nevertheless.
func TestASubscriberGetsAllMessagesWhileOtherConnectionsAreRenewed(t *testing.T) {
	client, r := openPubSub(t)
	subscription := "projects/project/subscriptions/subscription"
	_, err := client.SubscriptionAdminClient.CreateSubscription(t.Context(), &pubsubpb.Subscription{Name: subscription, Topic: topic})
	require.NoError(t, err)

	ctx, cancel := context.WithCancel(t.Context())
	received := make(chan struct{}, 100)
	ended := make(chan error)
	go func() {
		ended <- client.Subscriber("subscription").Receive(ctx, func(_ context.Context, m *pubsub.Message) {
			m.Ack()
			received <- struct{}{}
		})
	}()
	publisher := client.Publisher("topic")
	defer publisher.Stop()
	harness.Renewed(t, r.connections, func(ctx context.Context) error {
		_, err := publisher.Publish(ctx, &pubsub.Message{Data: []byte("value")}).Get(ctx)
		if err == nil {
			<-received
		}
		return err
	})
	cancel()
	require.NoError(t, <-ended)
}
