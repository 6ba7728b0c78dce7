"""What all REST views share: strict JSON, problem details, cursor pages, strict serializers."""
