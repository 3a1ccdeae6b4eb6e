import type { CodegenConfig } from "@graphql-codegen/cli";

const config: CodegenConfig = {
  schema: "../../schema/schema.graphql",
  documents: "../operations/*.graphql",
  generates: {
    "generated/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
    },
  },
  config: {
    scalars: {
      Date: "string",
      DateTime: "string",
      Duration: "string",
      JSON: "unknown",
      Long: "number",
      TimeZone: "string",
    },
    strictScalars: true,
    enumsAsTypes: true,
    namingConvention: "keep",
    useTypeImports: true,
  },
};

export default config;
