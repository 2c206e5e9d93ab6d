import type { KafkaClient } from '../kafka/connect.ts'
import { Lanes } from '../kafka/lanes.ts'
import type { ReaderOptions } from '../kafka/reader-contract.ts'
import { Writer } from '../kafka/writer.ts'
import type { Settings } from '../settings/catalogue.ts'
import type { TransactionPort, WriterPort } from '../stream/ports.ts'
import type { StreamMetrics } from '../telemetry/stream-metrics.ts'

/** What a stream writes with, and what its reader has to do for that. */
export interface StreamOutput {
  readonly writer: WriterPort | TransactionPort
  readonly readerOptions: Pick<ReaderOptions, 'lanes' | 'beforeStart'>
  close(): Promise<void>
}

/** Connects what the setting `delivery` asks for. Throws what Writer.connect and Lanes.connect throw. */
export async function connectOutput(
  client: KafkaClient,
  settings: Settings,
  metrics: StreamMetrics,
): Promise<StreamOutput> {
  const compression = settings['output.compression']
  const onRetry = (code: string, message: string): void => {
    metrics.retried(code, message)
  }
  if (settings.delivery === 'at-least-once') {
    const writer = await Writer.connect(client, { compression, onRetry })
    return { writer, readerOptions: {}, close: () => writer.close() }
  }
  const lanes = await Lanes.connect(client, {
    group: settings.group,
    inputTopics: [settings['input.topic']],
    outputTopics: [settings['output.topic'], settings['deadLetters.topic']],
    lanes: settings['exactlyOnce.lanes'],
    compression,
    onRetry,
    onTransaction: (result) => {
      metrics.transaction(result)
    },
  })
  return {
    writer: lanes,
    readerOptions: {
      lanes: settings['exactlyOnce.lanes'],
      beforeStart: (epoch, partitions) => lanes.acquire(epoch, partitions),
    },
    close: () => lanes.close(),
  }
}
