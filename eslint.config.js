import js from '@eslint/js'
import tseslint from 'typescript-eslint'

/** The rooms of src/, lowest floor first (docs/architecture.md). A room imports rooms on floors below its own. */
const floors = [
  ['core'],
  ['settings', 'telemetry'],
  ['graph', 'text', 'formats'],
  ['encoders'],
  ['runtime', 'evaluation'],
  ['kafka', 'models'],
  ['stream', 'train'],
  ['commands'],
]

/** Packages that only one room may import. */
const packageOwners = { kafkajs: 'kafka', 'onnxruntime-node': 'runtime', 'prom-client': 'telemetry' }

const roomBorders = floors.flatMap((rooms, floor) =>
  rooms.map((room) => {
    const forbiddenRooms = floors
      .slice(floor)
      .flat()
      .filter((other) => other !== room)
    const forbiddenPackages = Object.entries(packageOwners).filter(([, owner]) => owner !== room)
    return {
      files: [`src/${room}/**/*.ts`],
      rules: {
        'no-restricted-imports': [
          'error',
          {
            paths: forbiddenPackages.map(([name, owner]) => ({
              name,
              message: `Only src/${owner} imports ${name}.`,
            })),
            patterns: [
              ...forbiddenRooms.map((other) => ({
                group: [`../${other}/*`, `../**/${other}/*`],
                message: `src/${room} must not know src/${other}: see the floors in docs/architecture.md.`,
              })),
              { group: ['../cli.ts'], message: 'Nothing imports the command line.' },
            ],
          },
        ],
      },
    }
  }),
)

export default tseslint.config(
  { ignores: ['build', 'dist', 'node_modules', '.labelstream', 'models'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/prefer-readonly': 'error',
      eqeqeq: 'error',
      'no-console': 'error',
    },
  },
  { files: ['src/**/*.ts'], rules: { '@typescript-eslint/no-non-null-assertion': 'error' } },
  {
    // node:test collects what test() and describe() return; nothing to await
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            {
              from: 'package',
              name: ['test', 'describe', 'it', 'suite', 'before', 'after', 'beforeEach', 'afterEach'],
              package: 'node:test',
            },
          ],
        },
      ],
    },
  },
  { files: ['examples/**/*.ts', '**/*.mjs'], rules: { 'no-console': 'off' } },
  {
    files: ['**/*.mjs', '**/*.js'],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } },
  },
  ...roomBorders,
)
