# PRD-INFRA-005, 17.3. The benchmark `acceptance` runs the same steps over 1 million embeddings.

Feature: pgvector Vector Search

  Scenario: Semantic search returns relevant results
    Given 100,000 embeddings are stored
    And a query embedding is generated
    When I search for top-10 similar vectors
    Then the response time is less than 100ms
    And the recall rate is above 0.95

  Scenario: Hybrid search combines vector and text
    Given documents with embeddings and full text
    When I perform a hybrid search
    Then results are ranked by RRF score
    And response time is less than 150ms

  Scenario: Batch insert handles high throughput
    Given 10,000 embeddings to insert
    When I perform a batch insert
    Then all embeddings are stored
    And throughput exceeds 10,000/second
