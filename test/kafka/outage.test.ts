import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createTopics } from '../../src/kafka/admin.ts'
import { connectKafka } from '../../src/kafka/connect.ts'
import { type LocalKafka, startLocalKafka } from '../../src/kafka/local-broker.ts'
import { freePorts } from '../../src/kafka/local-ports.ts'
import { Writer } from '../../src/kafka/writer.ts'
import { closeAtEnd, freshName } from '../support/broker.ts'
import { Listener, textMessage } from '../support/reader.ts'

let kafka: LocalKafka

before(async () => {
  kafka = await startLocalKafka()
})

after(() => kafka.stop())

test('a broker that is killed and started again: reader and writer go on, and nothing is lost', async () => {
  const client = connectKafka({ brokers: kafka.brokers, clientId: 'test' })
  const topic = freshName('topic')
  await createTopics(client, [{ topic, partitions: 2 }])
  const retries: string[] = []
  const writer = closeAtEnd(await Writer.connect(client, { onRetry: (code) => retries.push(code) }))
  const listener = await Listener.start(client, {
    group: freshName('group'),
    topics: [topic],
    sessionTimeoutMs: 6_000,
  })
  const numbers = (from: number) => Array.from({ length: 50 }, (_, i) => from + i)
  const sendAll = (from: number): Promise<unknown> =>
    Promise.all(numbers(from).map((i) => writer.send(topic, i % 2, [textMessage(`${i}`)])))
  const seen = (): Set<string> => new Set(listener.texts)

  await sendAll(0)
  await listener.until(() => seen().size === 50, 'the first fifty')
  assert.equal(await listener.reader.commit(listener.epoch, listener.reached), 'committed')

  const [node] = kafka.nodes
  assert.ok(node !== undefined)
  await node.kill('SIGKILL')
  const during = sendAll(50)
  await listener.until(() => retries.length > 3, 'sends that are tried again')
  await node.start()
  await kafka.ready()
  await during
  await sendAll(100)
  await listener.until(() => seen().size === 150, 'all messages', 60_000)
  assert.equal(listener.failure, undefined)
  assert.ok(
    retries.every((code) => code === 'BROKER_UNREACHABLE' || code === 'BROKER_ERROR'),
    retries.join(),
  )
  // order holds within a partition: the first time each message is seen
  for (const partition of [0, 1]) {
    const first = [
      ...new Set(
        listener.messages.filter((one) => one.partition === partition).map(({ value }) => Number(value)),
      ),
    ]
    assert.deepEqual(
      first,
      [...first].sort((a, b) => a - b),
    )
  }
  await listener.until(() => listener.reached.reduce((sum, { offset }) => sum + offset, 0) >= 150, 'the end')
  assert.equal(await listener.reader.commit(listener.epoch, listener.reached), 'committed')
  await listener.reader.close()
})

test('closing while the broker is gone ends soon, and waiting sends say why they end', async () => {
  const own = await startLocalKafka()
  const client = connectKafka({ brokers: own.brokers, clientId: 'test' })
  const topic = freshName('topic')
  await createTopics(client, [{ topic, partitions: 1 }])
  const writer = await Writer.connect(client)
  await writer.send(topic, 0, [textMessage('a')])
  const listener = await Listener.start(client, { group: freshName('group'), topics: [topic] })
  await listener.until(() => listener.messages.length === 1, 'the message')
  await own.stop()
  const send = assert.rejects(writer.send(topic, 0, [textMessage('b')]), { code: 'INTERRUPTED' })
  await Promise.all([writer.close(), listener.reader.close()])
  await send
})

test('nobody there: the first connection fails in bounded time and names the brokers', async () => {
  const [port] = await freePorts(1)
  const client = connectKafka({ brokers: [`127.0.0.1:${port}`], clientId: 'test' })
  const unreachable = { code: 'BROKER_UNREACHABLE', message: new RegExp(`127\\.0\\.0\\.1:${port}`) }
  await Promise.all([
    assert.rejects(Writer.connect(client), unreachable),
    assert.rejects(Listener.start(client, { group: 'g', topics: ['t'] }), unreachable),
  ])
})

test('a host that swallows packets counts as unreachable after the time given', async () => {
  // 192.0.2.0/24 is reserved for documentation (RFC 5737): nothing answers there
  const client = connectKafka({ brokers: ['192.0.2.1:9092'], clientId: 'test', firstConnectTimeoutMs: 1_500 })
  await assert.rejects(Writer.connect(client), { code: 'BROKER_UNREACHABLE', message: /192\.0\.2\.1:9092/ })
})

test('a call that is never answered is given up, and says what it was for', async () => {
  const client = connectKafka({
    brokers: ['127.0.0.1:9'],
    clientId: 'test',
    connectionTimeoutMs: 5,
    requestTimeoutMs: 5,
  })
  const givenUp: string[] = []
  const never = client.answered(new Promise(() => undefined), 'asking', ({ code }) => givenUp.push(code))
  await assert.rejects(never, {
    code: 'BROKER_UNREACHABLE',
    message: /no answer from 127\.0\.0\.1:9 within 0\.02 s \(asking\)/,
  })
  assert.deepEqual(givenUp, ['BROKER_UNREACHABLE'])
  assert.equal(await client.answered(Promise.resolve(3), 'asking'), 3)
})
