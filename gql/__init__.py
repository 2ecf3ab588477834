"""The shape of the API: types, inputs, mutations, subscriptions, and the transports that carry them."""
