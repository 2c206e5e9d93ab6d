import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { packageRoot } from '../../src/core/paths.ts'
import { loadSettings } from '../../src/settings/load.ts'
import { metricCatalogue } from '../../src/telemetry/metrics.ts'

const read = (name: string): string => readFileSync(join(packageRoot, 'deploy', name), 'utf8')

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly annotations: { readonly summary: string }
}

interface Panel {
  readonly id: number
  readonly title: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets: readonly { readonly expr: string }[]
}

const { groups } = parse(read('prometheus/rules.yaml')) as { groups: { rules: Rule[] }[] }
const rules = groups.flatMap((group) => group.rules)
const { panels } = JSON.parse(read('grafana/labelstream.json')) as { panels: Panel[] }

/** Metrics and the labels that an expression asks of them, by a metric's name without prefix and suffix. */
function asked(expr: string): { metric: string; labels: string[] }[] {
  return [...expr.matchAll(/labelstream_(\w+?)(?:_bucket|_sum|_count)?\b(?:\{([^}]*)\})?/g)].map(
    ([, metric = '', selector = '']) => ({
      metric,
      labels: [...selector.matchAll(/(\w+)\s*[=!]/g)].map(([, label = '']) => label),
    }),
  )
}

test('alerts and dashboard ask for metrics and labels that there are', () => {
  const expressions = [...rules, ...panels.flatMap(({ targets }) => targets)].map(({ expr }) => expr)
  assert.ok(expressions.length > 30)
  for (const expr of expressions) {
    for (const { metric, labels } of asked(expr)) {
      const spec = metricCatalogue[metric as keyof typeof metricCatalogue]
      assert.ok(spec, `${metric} in ${expr}`)
      const known = new Set<string>([...(spec.labels ?? []), 'instance', 'job', 'le'])
      for (const label of labels) assert.ok(known.has(label), `${label} of ${metric} in ${expr}`)
      for (const [, by = ''] of expr.matchAll(/by \(([^)]*)\)/g)) {
        for (const label of by.split(', ')) assert.ok(known.has(label), `${label} of ${metric} in ${expr}`)
      }
    }
  }
})

test('every alert says what it saw, stands in the guide, and is tried by the rules of promtool', () => {
  const guide = readFileSync(join(packageRoot, 'docs', 'operate.md'), 'utf8')
  assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
  for (const { alert, annotations } of rules) {
    assert.ok(guide.includes(`\`${alert}\``), alert)
    assert.ok(annotations.summary.length > 20, alert)
  }
  const tried = new Set(read('prometheus/rules.test.yaml').match(/Labelstream\w+/g))
  assert.ok([...tried].every((name) => rules.some(({ alert }) => alert === name)))
})

test('panels lie side by side, each with a number of its own', () => {
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)} ${y + Math.floor(i / w)}`),
  )
  assert.equal(new Set(cells).size, cells.length)
  assert.ok(panels.every(({ gridPos: { x, w } }) => x + w <= 24))
})

interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly template?: { readonly spec: PodSpec }
    readonly scaleTargetRef?: { readonly name: string }
    readonly triggers?: readonly { readonly metadata: Readonly<Record<string, string>> }[]
  }
}

interface PodSpec {
  readonly terminationGracePeriodSeconds: number
  readonly automountServiceAccountToken: boolean
  readonly securityContext: { readonly runAsNonRoot: boolean; readonly runAsUser: number }
  readonly containers: readonly {
    readonly env: readonly { readonly name: string; readonly value: string }[]
    readonly securityContext: unknown
    readonly livenessProbe: unknown
    readonly readinessProbe: unknown
  }[]
}

const manifests = ['kubernetes/labelstream.yaml', 'kubernetes/scaling.yaml'].flatMap((name) =>
  parseAllDocuments(read(name)).map((document) => document.toJS() as Manifest),
)
const deployment = manifests.find(({ kind }) => kind === 'Deployment')
const pod = deployment?.spec.template?.spec

test('members on Kubernetes have no rights, a read-only root, and time to finish what is in flight', () => {
  assert.ok(pod !== undefined)
  assert.equal(pod.automountServiceAccountToken, false)
  assert.ok(pod.securityContext.runAsNonRoot && pod.securityContext.runAsUser > 1_000)
  const [container] = pod.containers
  assert.deepEqual(container?.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  })
  assert.match(JSON.stringify(container.livenessProbe), /"\/healthz"/)
  assert.match(JSON.stringify(container.readinessProbe), /"\/readyz"/)
  const { settings } = loadSettings({
    environment: Object.fromEntries(container.env.map(({ name, value }) => [name, value])),
    flags: {},
    file: '/dev/null',
  })
  assert.ok(pod.terminationGracePeriodSeconds * 1000 > settings['stream.drainMs'])
})

test('members are counted by the lag of the group and topic that they read', () => {
  assert.ok(pod !== undefined)
  const environment = Object.fromEntries(
    pod.containers.flatMap(({ env }) => env.map(({ name, value }) => [name, value])),
  )
  const { settings } = loadSettings({ environment, flags: {}, file: '/dev/null' })
  const scaling = manifests.find(({ kind }) => kind === 'ScaledObject')
  assert.equal(scaling?.spec.scaleTargetRef?.name, deployment?.metadata.name)
  const metadata = scaling?.spec.triggers?.[0]?.metadata
  assert.equal(metadata?.['consumerGroup'], settings.group)
  assert.equal(metadata?.['topic'], settings['input.topic'])
  assert.deepEqual(metadata?.['bootstrapServers']?.split(','), settings['kafka.brokers'])
})
