{
  "variables": {
    "keeper_sources": "<!(node -p \"require('fs').readdirSync('native/keeper').filter((name) => name.endsWith('.c')).length\")",
    "static_pie": "<!(printf 'int main(void){return 0;}' | ${CC:-cc} -x c -fPIE -static-pie -o /dev/null - 2>/dev/null && echo 1 || echo 0)",
    "link_time": "<!(printf 'int f(){return 0;}' | ${CXX:-c++} -x c++ -fPIC -flto -shared -o /dev/null - 2>/dev/null && echo 1 || echo 0)"
  },
  "target_defaults": {
    "cflags!": ["-Wno-unused-parameter"],
    "cflags": ["-Wall", "-Wextra", "-Wconversion", "-Wshadow"]
  },
  "targets": [
    {
      "target_name": "holdfast",
      "sources": ["<!@(node -p \"['native/sys', 'native/addon'].flatMap((folder) => require('fs').readdirSync(folder).filter((name) => name.endsWith('.cc')).map((name) => folder + '/' + name)).join(' ')\")"],
      "defines": ["NAPI_VERSION=9", "NAPI_DISABLE_CPP_EXCEPTIONS", "NODE_ADDON_API_DISABLE_DEPRECATED"],
      "cflags_cc!": ["-std=gnu++17", "-std=gnu++20"],
      "cflags_cc": [
        "-std=c++17",
        "-fno-exceptions",
        "-fvisibility=hidden",
        "-fstack-protector-strong",
        "-U_FORTIFY_SOURCE",
        "-D_FORTIFY_SOURCE=3",
        "-isystem",
        "<!(node -p \"require('path').dirname(require.resolve('node-addon-api'))\")"
      ],
      "ldflags": ["-Wl,-z,relro,-z,now,-z,noexecstack"],
      "conditions": [
        ["link_time==1", { "cflags_cc": ["-flto", "-fno-plt"], "ldflags": ["-flto", "-O3"] }]
      ]
    }
  ],
  "conditions": [
    ["keeper_sources!=0", {
      "targets": [
        {
          "target_name": "holdfast-keeper",
          "type": "executable",
          "sources": ["<!@(node -p \"require('fs').readdirSync('native/keeper').filter((name) => name.endsWith('.c')).map((name) => 'native/keeper/' + name).join(' ')\")"],
          "configurations": { "Release": { "cflags!": ["-O3"], "cflags": ["-O2"] } },
          "cflags_c": ["-std=c11", "-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3", "-fPIE"],
          "ldflags!": ["-rdynamic"],
          "conditions": [
            ["static_pie==1", { "ldflags": ["-static-pie", "-Wl,-z,relro,-z,now,-z,noexecstack"] }, { "ldflags": ["-pie", "-Wl,-z,relro,-z,now,-z,noexecstack"] }]
          ]
        }
      ]
    }]
  ]
}
