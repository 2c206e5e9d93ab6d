import kafkajs from 'kafkajs'

const partitioner = kafkajs.Partitioners.DefaultPartitioner()

/** The partition of a key: murmur2 as in Kafka's own clients, so that every producer puts a key in the same place. */
export function partitionOfKey(key: Buffer, partitions: number): number {
  const partitionMetadata = Array.from({ length: partitions }, (_none, partitionId) => ({
    partitionErrorCode: 0,
    partitionId,
    leader: 0,
    replicas: [],
    isr: [],
  }))
  return partitioner({ topic: '', partitionMetadata, message: { key, value: null } })
}
